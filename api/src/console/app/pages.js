// The pages in the order of the navigation: one line each. `admin`: for administrators only. `icon`: paths in a box of 24 by 24.
// A module of `pages/` has as default export `{ async mount(root, context) }`; see `app.js` for the context and what mount returns.

export const PAGES = [
  { key: "chat", title: "Chat", icon: "M4 5h16v11H9l-5 4z", load: () => import("./pages/chat.js") },
  { key: "runs", title: "Runs", icon: "M4 6h9M8 12h12M4 18h6", load: () => import("./pages/runs.js") },
  { key: "knowledge", title: "Knowledge", icon: "M5 4h5v16H5zM10 4h4v16h-4M14.5 5l4-1 3 15-4 1z", load: () => import("./pages/knowledge.js") },
  { key: "usage", title: "Usage", icon: "M4 20h16M6.5 16v-5M12 16V5M17.5 16v-8", load: () => import("./pages/usage.js") },
  { key: "log", title: "Log", admin: true, icon: "M4 5h16M4 10h16M4 15h16M4 20h10", load: () => import("./pages/log.js") },
  { key: "system", title: "System", admin: true, icon: "M3 12h4l3-7 4 14 3-7h4", load: () => import("./pages/system.js") },
];
