// Runs before the first paint, so that a page chosen dark does not flash light. Storage may be shut off.
try {
  const chosen = localStorage.getItem("annals-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // The system's choice, then.
}
