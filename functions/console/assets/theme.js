// Light or dark: as the system has it, unless the operator chose.

const KEY = 'overair.theme';

/** What can be chosen. */
export const THEMES = ['system', 'light', 'dark'];

export const theme = () => (THEMES.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : 'system');

/** Makes the page look as chosen. */
export function applyTheme(chosen = theme()) {
  localStorage.setItem(KEY, chosen);
  document.documentElement.dataset.theme = chosen;
}
