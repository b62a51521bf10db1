// Runs before the first paint, so that a chosen theme never flashes. A classic script, because modules run later.
// It must not fail where storage is blocked: then the system's theme is right.
try {
  const theme = localStorage.getItem("hardpoint.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  if (localStorage.getItem("hardpoint.font")) document.documentElement.dataset.font = "";
} catch {}
