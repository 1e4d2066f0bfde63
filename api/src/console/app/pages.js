// The pages in the order of the navigation: one line each. `admin`: for administrators only. `icon`: paths in a box of 24 by 24.
// A module of `pages/` has as default export `{ async mount(root, context) }`; see `app.js` for the context and what mount returns.

export const PAGES = [
];
