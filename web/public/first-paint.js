// Sets theme and language on the root element before anything is painted, so that nothing flashes.
// It is a file of its own because the content security policy refuses inline scripts. The keys are
// those of src/state/theme.svelte.ts and src/state/language.svelte.ts; a test compares them.
(function () {
  var root = document.documentElement;
  var theme = null;
  var language = null;
  try {
    theme = localStorage.getItem('muster.theme');
    language = localStorage.getItem('muster.language');
  } catch (_denied) {
    // Storage may be switched off: the system's theme and the browser's language remain.
  }
  if (theme === 'dark' || theme === 'light') root.dataset.theme = theme;
  var wanted = language || navigator.language || 'en';
  root.lang = /^zh/i.test(wanted) ? 'zh-CN' : 'en';
})();
