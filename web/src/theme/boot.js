/*
 * Runs before the first paint, as a classic script: the theme and the language the person chose, so that nothing
 * flashes. Everything later is theme.svelte.ts's and i18n's.
 */
(function () {
  var root = document.documentElement;
  function kept(name) {
    try {
      return localStorage.getItem(name);
    } catch (error) {
      return null;
    }
  }
  var theme = kept('tramontane.theme');
  if (theme !== 'light' && theme !== 'dark') {
    theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  }
  root.dataset.theme = theme;
  var language = kept('tramontane.language') || navigator.language || 'en';
  root.lang = language.slice(0, 2) === 'fr' ? 'fr' : 'en';
})();
