//! What each code means, as `docs/errors.md` says it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The rows of the page's tables: a code, and what it means.
static MEANINGS: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    let page = include_str!("../../../docs/errors.md");
    // A pipe within a cell is written `\|`, and none stands in the first two.
    let rows = page.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.trim_end().trim_end_matches('|').splitn(3, '|');
        let code = cells.next()?.trim().trim_end_matches('`');
        Some((code, cells.last()?.trim()))
    });
    rows.collect()
});

/// Returns what a code means; nothing for one that the page does not tell.
pub(crate) fn meaning(code: &str) -> &'static str {
    MEANINGS.get(code).copied().unwrap_or_default()
}
