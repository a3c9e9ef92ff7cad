// Both dictionaries say the same things, and exactly those that the console asks for.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import en from '../../../functions/console/assets/lang/en.js';
import zh from '../../../functions/console/assets/lang/zh.js';
import { ROOT } from '../service.js';

const ASSETS = join(ROOT, 'functions/console/assets');
const forms = (entry) => [entry].flat();
const places = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1]).sort();

/** What the sources ask for: whole keys, and keys with something in the middle or at the end. */
async function asked() {
  const names = (await readdir(ASSETS)).filter((name) => name.endsWith('.js'));
  const text = (await Promise.all(names.map((name) => readFile(join(ASSETS, name), 'utf8')))).join('\n');
  const literals = new Set([...text.matchAll(/'([a-z][\w-]*(?:\.[\w-]+)*)'/g)].map((found) => found[1]));
  const called = [...text.matchAll(/\bt(?:Or)?\(\s*'([^']+)'/g)].map((found) => found[1]);
  const patterns = [...text.matchAll(/`([a-z-]*(?:\.[\w-]+)*\.?(?:\$\{[^`]*?\}[\w.-]*)+)`/g)].map((found) => found[1])
    .filter((pattern) => /^[a-z-]{3}[.\w-]*\$\{/.test(pattern));
  // A badge's word is that of its noun and status.
  const nouns = [...text.matchAll(/noun="([\w-]+)"/g), ['', 'status']].map((found) => new RegExp(`^${found[1]}\\.`));
  const asRegex = (pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replace(/\$\{.*?\}(?=$|[\w.\\-]|\$)/g, '.+')}$`);
  return { literals, called, patterns: [...patterns.map(asRegex), ...nouns] };
}

test('both languages have the same entries', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
});

test('an entry has the same places for values in both languages', () => {
  for (const [key, entry] of Object.entries(en)) {
    for (const form of forms(entry)) {
      // "1 device" may leave the number out.
      const missing = places(form).filter((place) => !places(forms(zh[key])[0]).includes(place));
      assert.deepEqual(missing, [], key);
    }
    const all = forms(entry).flatMap(places);
    assert.deepEqual(places(forms(zh[key])[0]).filter((place) => !all.includes(place)), [], key);
  }
});

test('every word that is asked for is there', async () => {
  const { called } = await asked();
  assert.ok(called.length > 300, `${called.length} were found`);
  assert.deepEqual(called.filter((key) => !(key in en)), []);
});

test('every word that is there is asked for', async () => {
  const { literals, patterns } = await asked();
  const unused = Object.keys(en).filter((key) => !literals.has(key) && !patterns.some((pattern) => pattern.test(key)));
  assert.deepEqual(unused, []);
});
