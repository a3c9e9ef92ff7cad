//! What needs no server: help, wrong command lines, completions.

use std::io::Read;
use std::process::Stdio;

use crate::run::Place;
use crate::server::Server;

const NOUNS: [&str; 17] = [
    "login",
    "logout",
    "product",
    "module",
    "device",
    "package",
    "delta",
    "verify",
    "batch",
    "task",
    "event",
    "settings",
    "token",
    "audit",
    "webhook",
    "simulate",
    "completions",
];

#[test]
fn help_names_every_noun_and_every_exit_code() {
    let place = Place::new();
    let help = place.prints(&["--help"]);
    for noun in NOUNS {
        assert!(help.contains(&format!("\n  {noun} ")), "{noun}: {help}");
        assert!(place.prints(&[noun, "--help"]).contains("Usage: overair"), "{noun}");
    }
    for code in 0..=9 {
        assert!(help.contains(&format!("\n  {code}  ")), "{code}: {help}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_what_is_wrong() {
    let server = Server::that_says(500, "nobody may come this far");
    let place = Place::with(&server);
    for (line, said) in [
        (&["frobnicate"][..], "frobnicate"),
        (&["batch", "create", "--package", "p"], "--all"),
        (&["batch", "create", "--package", "p", "--gray", "ten"], "share"),
        (&["batch", "create", "--package", "p", "--all", "--timeout", "soon"], "10m"),
        (&["batch", "create", "--package", "p", "--all", "--retry-after", "10"], "--retry-count"),
        (&["batch", "watch", "b", "--timeout", "x"], "10m"),
        (&["package", "upload", "f.bin", "--product", "a1"], "--name"),
        (&["product", "set", "a1", "fast"], "key=value"),
        (&["device", "register", "a1"], "NAMES"),
        (&["webhook", "edit", "w"], "--disable"),
        (&["token", "create", "x", "--role", "king"], "viewer"),
        (&["simulate", "--product", "a1", "--mqtt", "nowhere"], "host:port"),
        (&["-o", "xml", "product", "list"], "json"),
        (&["--server", "localhost", "product", "list"], "no URL"),
        (&["--server", "https://localhost", "product", "list"], "--features tls"),
    ] {
        if cfg!(feature = "tls") && line.contains(&"https://localhost") {
            continue;
        }
        let ran = place.run(line);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{line:?}: {ran:?}");
        assert!(ran.err.contains(said), "{line:?}: {ran:?}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn a_file_that_cannot_be_read_ends_with_1() {
    let server = Server::that_says(500, "nobody may come this far");
    let place = Place::with(&server);
    let bad = place.file("bad.csv", b"lamp-1,secret5012,,nowhere\n");
    for line in [
        &["package", "upload", "gone.bin", "--product", "a1", "--name", "n", "--version", "1"][..],
        &["device", "register", "a1", "--from", "gone.csv"],
        &["device", "register", "a1", "--from", &bad],
        &["--token-file", "gone", "product", "list"],
    ] {
        let ran = place.run(line);
        assert_eq!(ran.code, 1, "{line:?}: {ran:?}");
        assert!(ran.err.starts_with("error: ") && !ran.err.contains("5012"), "{line:?}: {ran:?}");
    }
    assert!(server.seen().is_empty());
}

#[test]
fn every_shell_has_its_completions() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = place.prints(&["completions", shell]);
        assert!(script.contains("re-upgrade") && script.contains("rotate-secret"), "{shell}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let place = Place::new();
    let mut child = place
        .command(&["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0]).unwrap();
    drop(out);
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert_eq!(ended.status.code(), Some(0));
}
