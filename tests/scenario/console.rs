//! The console's files: what a browser is given, and what nobody is.

use std::collections::{BTreeMap, BTreeSet};

use ota_store::memory::Operations;
use ota_tests::{Answer, Call, World};

/// What a first visit may cost on the wire: the page, its style, every module that the sign-in and the first screen load,
/// and the words of one language. A slow phone has it in a second.
const FIRST_SCREEN_BYTES_MAX: usize = 100_000;
/// Modules that lead to each other are followed this often: a bound for a circle.
const MODULES_MAX: usize = 200;

fn page(world: &World) -> String {
    let answer = world.send(&Call::get("/console/")).expect(200);
    String::from_utf8(answer.body).expect("a page is text")
}

/// Where this build's files are.
fn assets(page: &str) -> String {
    let (_, rest) = page.split_once("assets/").expect("the page names its files");
    let (version, _) = rest.split_once('/').expect("they are in a folder of their build");
    format!("/console/assets/{version}")
}

/// What stands between the two, wherever they do.
fn between<'a>(text: &'a str, before: &'a str, after: char) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).filter_map(move |rest| rest.split(after).next())
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// A module's text, and the modules it is made of: those it loads at once, and those it loads when they are asked for.
struct Module {
    at_once: Vec<String>,
    when_asked: Vec<String>,
}

impl Module {
    fn read(name: &str, text: &str) -> Self {
        let folder = name.rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
        let listed =
            |before: &str| between(text, before, '\'').map(|file| format!("{folder}{file}")).collect();
        Self { at_once: listed("from './"), when_asked: listed("import('./") }
    }
}

/// Reads every module that the first one leads to.
fn modules(world: &World, assets: &str) -> BTreeMap<String, Module> {
    let mut found = BTreeMap::new();
    let mut ahead = vec!["main.js".to_owned()];
    while let Some(name) = ahead.pop() {
        if found.contains_key(&name) {
            continue;
        }
        assert!(found.len() < MODULES_MAX, "{name} and others lead to each other without end");
        let answer = world.send(&Call::get(format!("{assets}/{name}")));
        assert_eq!(answer.status, 200, "{name} is loaded by a module and not there");
        let module = Module::read(&name, &text(&answer));
        ahead.extend(module.at_once.iter().chain(&module.when_asked).cloned());
        found.insert(name, module);
    }
    found
}

#[test]
fn the_ways_to_the_console_lead_to_one_page() {
    let world = World::new();
    // Relative, so that it holds behind a proxy too: from `/` as from `/console` this is `/console/`.
    for path in ["/", "/console"] {
        let answer = world.send(&Call::get(path)).expect(307);
        assert_eq!(answer.header("location"), "console/", "{path}");
    }
    let answer = world.send(&Call::get("/console/")).expect(200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    assert_eq!(answer.header("cache-control"), "no-cache", "a new build shows at the next visit");
    // What stands after a `?` or a `#` is the page's own business.
    assert_eq!(world.send(&Call::get("/console/?from=mail")).expect(200).body, answer.body);
}

#[test]
fn the_files_are_given_to_anybody_and_ask_the_store_nothing() {
    let world = World::new();
    let operations = world.operations(|| {
        let page = page(&world);
        let files: Vec<&str> = between(&page, "\"assets/", '"').collect();
        assert!(files.len() > 3, "{page}");
        for file in files {
            let answer = world.send(&Call::get(format!("/console/assets/{file}"))).expect(200);
            assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable", "{file}");
            assert!(!answer.body.is_empty(), "{file}");
        }
    });
    assert_eq!(operations, Operations::default());
}

#[test]
fn a_page_that_runs_somebody_elses_script_is_stopped_by_its_policy() {
    let world = World::new();
    let assets = assets(&page(&world));
    for path in ["/console/".to_owned(), format!("{assets}/main.js"), format!("{assets}/icon.svg")] {
        let answer = world.send(&Call::get(&path)).expect(200);
        let policy = answer.header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    }
    // Nothing that the policy would stop is on the page: each script and style is a file of its own.
    let page = page(&world);
    assert!(!page.contains("<style") && !page.contains(" style="), "{page}");
    assert!(between(&page, "<script", '>').all(|script| script.contains(" src=\"assets/")), "{page}");
}

#[test]
fn what_a_browser_has_already_is_not_sent_again() {
    let world = World::new();
    let assets = assets(&page(&world));
    for path in ["/console/".to_owned(), format!("{assets}/app.css")] {
        let tag = world.send(&Call::get(&path)).expect(200).header("etag").to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"another\", {tag}"), "*".to_owned()] {
            let again = world.send(&Call::get(&path).header("if-none-match", &known)).expect(304);
            assert!(again.body.is_empty() && again.header("content-length").is_empty(), "{known}");
            assert_eq!(again.header("etag"), tag, "{known}");
            assert!(!again.header("cache-control").is_empty(), "{known}");
        }
        let _sent = world.send(&Call::get(&path).header("if-none-match", "\"another\"")).expect(200);
        // The bytes that are compressed are others, and whoever has the one has not the other.
        let packed = world.send(&Call::get(&path).header("accept-encoding", "gzip")).expect(200);
        assert_ne!(packed.header("etag"), tag);
        let call = Call::get(&path).header("accept-encoding", "gzip");
        let _sent = world.send(&call.header("if-none-match", &tag)).expect(200);
    }
}

#[test]
fn files_are_sent_compressed_to_those_who_take_it() {
    let world = World::new();
    let assets = assets(&page(&world));
    for path in ["/console/".to_owned(), format!("{assets}/main.js"), format!("{assets}/app.css")] {
        let plain = world.send(&Call::get(&path)).expect(200);
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "Accept-Encoding"));
        let packed = world.send(&Call::get(&path).header("accept-encoding", "br, gzip;q=0.8")).expect(200);
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert_eq!(packed.header("vary"), "Accept-Encoding");
        assert_eq!(packed.header("content-type"), plain.header("content-type"));
        assert_eq!(packed.header("content-length"), packed.body.len().to_string());
        // RFC 1952: it begins with what tells a gzip file, and ends with the length of what is in it.
        assert!(packed.body.starts_with(&[0x1f, 0x8b, 8]), "{path}");
        let length = packed.body.last_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes) as usize);
        assert_eq!(length, Some(plain.body.len()), "{path}");
        assert!(packed.body.len() < plain.body.len(), "{path}");
        let refused = world.send(&Call::get(&path).header("accept-encoding", "gzip;q=0")).expect(200);
        assert_eq!(refused.body, plain.body, "{path}");
    }
}

#[test]
fn head_tells_what_get_would_give() {
    let world = World::new();
    let assets = assets(&page(&world));
    for path in ["/console/".to_owned(), format!("{assets}/main.js")] {
        for coding in ["identity", "gzip"] {
            let get = world.send(&Call::get(&path).header("accept-encoding", coding)).expect(200);
            let head = world.send(&Call::new("HEAD", &path).header("accept-encoding", coding)).expect(200);
            assert!(head.body.is_empty(), "{path}");
            assert_eq!(head.headers, get.headers, "{path}");
        }
    }
}

#[test]
fn the_files_can_only_be_read() {
    let world = World::new();
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for path in ["/", "/console/", "/console/no/such/file"] {
            let answer = world.send(&Call::new(method, path).bytes("x"));
            assert_eq!(answer.problem(), "405 request.method-not-allowed", "{method} {path}");
            assert_eq!(answer.header("allow"), "GET, HEAD", "{method} {path}");
        }
    }
}

#[test]
fn there_is_no_way_out_of_the_folder() {
    let world = World::new();
    let assets = assets(&page(&world));
    let version = assets.rsplit('/').next().unwrap_or_default().to_owned();
    for path in [
        format!("{assets}/../../../spin.toml"),
        format!("{assets}/%2e%2e/%2e%2e/index.html"),
        format!("{assets}/..%2findex.html"),
        format!("{assets}/lang/../main.js"),
        format!("{assets}//main.js"),
        format!("{assets}/main.js%00.txt"),
        // The page has one place, where it can tell its other files.
        format!("{assets}/index.html"),
        format!("{assets}/"),
        assets.clone(),
        "/console/assets/0000000000000000/main.js".to_owned(),
        "/console/assets/main.js".to_owned(),
        "/console/main.js".to_owned(),
        format!("/console/{version}/main.js"),
        "/console/products".to_owned(),
    ] {
        let answer = world.send(&Call::get(&path));
        assert_eq!(answer.problem(), "404 request.no-route", "{path}");
    }
    let answer = world.send(&Call::get(format!("{assets}/%ff.js")));
    assert_eq!(answer.problem(), "400 request.malformed");
}

#[test]
fn every_module_is_there_and_the_first_screen_is_small() {
    let world = World::new();
    let page = page(&world);
    let assets = assets(&page);
    let modules = modules(&world, &assets);
    assert!(
        modules.contains_key("home.js") && modules.contains_key("lang/zh.js"),
        "screens and words are found"
    );

    let mut needed: BTreeSet<String> = BTreeSet::new();
    let mut ahead: Vec<&str> = vec!["main.js", "signin.js", "home.js", "lang/en.js"];
    while let Some(name) = ahead.pop() {
        if needed.insert(name.to_owned()) {
            ahead.extend(modules[name].at_once.iter().map(String::as_str));
        }
    }
    let on_page =
        between(&page, "\"assets/", '"').filter_map(|file| Some(file.split_once('/')?.1.to_owned()));
    needed.extend(on_page);
    let mut sizes: Vec<(usize, String)> = vec![(page.len(), "the page".to_owned())];
    for name in needed {
        let call = Call::get(format!("{assets}/{name}")).header("accept-encoding", "gzip");
        sizes.push((world.send(&call).expect(200).body.len(), name));
    }
    let sum: usize = sizes.iter().map(|(size, _)| size).sum();
    assert!((20_000..FIRST_SCREEN_BYTES_MAX).contains(&sum), "{sum} bytes: {sizes:?}");
}
