// Before the page is drawn: light or dark as it was chosen here, else as the system says.
try {
  const chosen = localStorage.getItem("openflan-theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch { /* a browser without storage follows the system */ }
