//! What the documents tell a reader to type, typed: the README's and `docs/`'s lines for a shell, in order, against a
//! service of their own.

mod block;
mod shape;
mod shell;

use std::fs;
use std::path::Path;

use ota_tests::host::{program, workspace};

use self::block::{Block, Kind, Step};
use self::shell::Shell;
use crate::service::Service;

/// What only somebody with an MQTT client can type. Without one, a document is read up to there.
const MQTT_CLIENT: &str = "mosquitto";

#[test]
fn the_lines_of_the_readme_do_what_it_says() {
    read_and_type("README.md");
}

#[test]
fn the_lines_of_the_page_on_the_command_line_do_what_it_says() {
    read_and_type("docs/cli.md");
}

#[test]
fn the_lines_of_the_other_pages_do_what_they_say() {
    let mut pages: Vec<_> = fs::read_dir(workspace().join("docs"))
        .expect("the folder of documents")
        .map(|entry| format!("docs/{}", entry.expect("a document").file_name().to_string_lossy()))
        .filter(|page| page.ends_with(".md") && page != "docs/cli.md")
        .collect();
    pages.sort();
    assert!(pages.len() > 5, "there are documents");
    for page in pages {
        read_and_type(&page);
    }
}

/// Types what a document says, and compares what comes of it.
fn read_and_type(document: &str) {
    let path = workspace().join(document);
    let text = fs::read_to_string(&path).expect("the document is there");
    let blocks = block::blocks(&text);
    if blocks.is_empty() {
        return;
    }
    let service = Service::start();
    let mut reader = Reader::new(document, &service);
    for block in blocks {
        if !reader.has_mqtt_client && block.text.contains(MQTT_CLIENT) {
            // Whatever comes after it needs a device that has reported; the other way to type it does not.
            eprintln!("{document}:{}: left out, there is no MQTT client", block.line);
            reader.goes_on = false;
        }
        match block.kind {
            Kind::Shell if reader.goes_on => reader.type_lines(&block),
            Kind::Shell => {}
            Kind::Console => reader.type_and_compare(&block),
        }
    }
}

/// Somebody at a terminal with a document.
struct Reader {
    document: String,
    shell: Shell,
    has_mqtt_client: bool,
    goes_on: bool,
}

impl Reader {
    fn new(document: &str, service: &Service) -> Self {
        let mqtt = service.host.mqtt();
        let mut shell = Shell::start(&[
            ("PATH", &path_with(&program("overair"))),
            ("OVERAIR_MQTT", &mqtt.to_string()),
            ("LC_ALL", "C.UTF-8"),
        ]);
        shell.replace("http://127.0.0.1:3000", &service.base_url());
        shell.replace("-p 1883", &format!("-p {}", mqtt.port()));
        shell.knows("token", &service.api_token);
        fs::write(shell.folder().join("token.txt"), &service.api_token).expect("the token's file");
        let (exit, _) = shell.type_line("command -v mosquitto_pub mosquitto_sub");
        Self { document: document.to_owned(), shell, has_mqtt_client: exit == 0, goes_on: true }
    }

    /// Types commands that a page shows without what comes of them: none of them may fail.
    fn type_lines(&mut self, block: &Block) {
        for Step { line, command, .. } in block.steps() {
            let at = format!("{}:{line}: {command}", self.document);
            let (exit, said) = self.shell.type_line(&command);
            assert_eq!(exit, 0, "{at}\n{said}");
            assert!(!shell::is_problem(&said), "{at}\n{said}");
        }
    }

    /// Types commands that a page shows with what comes of them, and compares the shape of it.
    fn type_and_compare(&mut self, block: &Block) {
        let steps = block.steps();
        for (index, step) in steps.iter().enumerate() {
            let at = format!("{}:{}: {}", self.document, step.line, step.command);
            let (exit, said) = self.shell.type_line(&step.command);
            // A command that fails is followed by the question how.
            let asked = steps.get(index + 1).is_some_and(|next| next.command == "echo $?");
            assert!(asked || exit == 0, "{at}\nended with {exit}\n{said}");
            assert!(!said.contains("panicked at"), "{at}\n{said}");
            if let Err(difference) = shape::compare(&step.output, &said) {
                panic!("{at}\n{difference}\n--- what came:\n{said}");
            }
        }
    }
}

/// The search path with a program's folder before all others.
fn path_with(program: &Path) -> String {
    let folder = program.parent().expect("a program lies in a folder");
    format!("{}:{}", folder.display(), std::env::var("PATH").expect("a search path"))
}
