// The pages in the order of the navigation: one line each. `admin`: for administrators only. `icon`: paths in a box of 24 by 24.
// A module of `pages/` has as default export `{ async mount(root, context) }`; see `app.js` for the context and what mount returns.

export const PAGES = [
  { key: "chat", title: "Chat", icon: "M4 5h16v11H9l-5 4z", load: () => import("./pages/chat.js") },
  { key: "runs", title: "Runs", icon: "M4 6h9M8 12h12M4 18h6", load: () => import("./pages/runs.js") },
  { key: "log", title: "Log", admin: true, icon: "M4 5h16M4 10h16M4 15h16M4 20h10", load: () => import("./pages/log.js") },
];
