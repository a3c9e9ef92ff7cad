// What modules expect of a page when they are loaded, for tests without one. It comes before their import.

globalThis.document ??= { documentElement: {}, addEventListener() {} };
globalThis.localStorage ??= { getItem: () => null, setItem() {}, removeItem() {} };
globalThis.sessionStorage ??= globalThis.localStorage;
globalThis.addEventListener ??= () => {};
