// Languages: words from a dictionary, numbers and times as people there write them.

/** The languages there are, by their own names. */
export const LANGUAGES = { en: 'English', zh: '中文' };
const LOCALES = { en: 'en-GB', zh: 'zh-CN' };
const KEY = 'overair.language';
const DICTIONARIES = { en: () => import('./lang/en.js'), zh: () => import('./lang/zh.js') };

let language = 'en';
let words = {};

/** The language to begin with: the one chosen before, or the first of the browser's that there is. */
export function preferred() {
  const chosen = localStorage.getItem(KEY);
  if (chosen in LANGUAGES) return chosen;
  const wanted = (navigator.languages ?? []).map((tag) => tag.slice(0, 2).toLowerCase());
  return wanted.find((tag) => tag in LANGUAGES) ?? 'en';
}

/** Speaks a language from now on. */
export async function speak(next, { keep = false } = {}) {
  words = (await DICTIONARIES[next]()).default;
  language = next;
  if (keep) localStorage.setItem(KEY, next);
  document.documentElement.lang = LOCALES[next];
}

/** The present language. */
export const spoken = () => language;

/**
 * Returns what a key says. `{name}` in it stands for a value; numbers are written as people there do. An entry of two
 * forms is for one and for several of `count`.
 */
export function t(key, values = {}) {
  let text = words[key];
  if (text === undefined) return key;
  if (Array.isArray(text)) text = text[values.count === 1 ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? number(value) : String(value);
  });
}

/** Tells whether there is an entry; for codes of the service that may be newer than this console. */
export const knows = (key) => key in words;

/** Returns what a key says, or something else if there is no such entry. */
export const tOr = (key, otherwise, values) => (knows(key) ? t(key, values) : otherwise);

const made = new Map();
function format(Kind, options) {
  const key = `${Kind.name}${language}${JSON.stringify(options)}`;
  if (!made.has(key)) made.set(key, new Kind(LOCALES[language], options));
  return made.get(key);
}

export const number = (value) => format(Intl.NumberFormat, { maximumFractionDigits: 2 }).format(value);

/** A share of one as percent: whole, but for what would look like none or all. */
export function percent(share) {
  const digits = share > 0 && (share < 0.01 || (share > 0.99 && share < 1)) ? 1 : 0;
  return format(Intl.NumberFormat, { style: 'percent', maximumFractionDigits: digits }).format(share);
}

/** A size; MB are binary, as everywhere in the service. */
export function bytes(count) {
  const units = ['B', 'KB', 'MB', 'GB'];
  const step = Math.min(Math.floor(Math.log2(Math.max(count, 1)) / 10), units.length - 1);
  const value = count / 1024 ** step;
  const digits = step === 0 || value >= 100 ? 0 : 1;
  return `${format(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value)} ${units[step]}`;
}

/** A moment, to the second. */
export const moment = (ms) => format(Intl.DateTimeFormat, { dateStyle: 'medium', timeStyle: 'medium' }).format(ms);

/** A moment of which the day and minute matter. */
export const shortMoment = (ms) => format(Intl.DateTimeFormat, {
  month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
}).format(ms);

/** A moment to the second, in one short line. */
export const momentOfDay = (ms) => format(Intl.DateTimeFormat, {
  month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
}).format(ms);

/** The time of a day. */
export const clock = (ms) => format(Intl.DateTimeFormat, {
  hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
}).format(ms);

const STEPS = [
  ['second', 60], ['minute', 60], ['hour', 24], ['day', 7], ['week', 4.35], ['month', 12], ['year', Infinity],
];

/** How long ago, or in how long: "3 minutes ago". */
export function ago(ms, now = Date.now()) {
  let value = Math.round((ms - now) / 1000);
  for (const [unit, length] of STEPS) {
    if (Math.abs(value) < length) {
      return format(Intl.RelativeTimeFormat, { numeric: 'auto' }).format(value, unit);
    }
    value = Math.round(value / length);
  }
  return moment(ms);
}

/** A time that something takes, in minutes. */
export function minutes(count) {
  if (count >= 120) return t('time.hours', { count: Math.round(count / 6) / 10 });
  return t('time.minutes', { count });
}

/** Joins words to a list: "a, b". */
export const listed = (items) => format(Intl.ListFormat, { type: 'conjunction', style: 'narrow' }).format(items);
