//! The fenced blocks of a document.

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Commands for a shell, without what comes of them.
    Shell,
    /// Commands behind a `$`, each with what comes of it.
    Console,
}

/// A block of commands that talk to the service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// The line of the fence.
    pub(super) line: usize,
    pub(super) text: String,
}

/// A command, and what the page says comes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) command: String,
    pub(super) output: Vec<String>,
}

/// What is typed in the workspace, before there is a service to talk to.
const BUILDING: [&str; 2] = ["cargo ", "git clone"];

/// Reads the blocks of a document that are typed.
pub(super) fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Option<Kind>, Block)> = None;
    for (index, line) in document.lines().enumerate() {
        let Some(language) = line.strip_prefix("```") else {
            if let Some((_, block)) = &mut open {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        };
        match open.take() {
            Some((Some(kind), block)) => blocks.push(Block { kind, ..block }),
            Some((None, _)) => {}
            None => {
                let kind = match language {
                    "sh" => Some(Kind::Shell),
                    "console" => Some(Kind::Console),
                    _ => None,
                };
                open = Some((kind, Block { kind: Kind::Shell, line: index + 1, text: String::new() }));
            }
        }
    }
    blocks.retain(|block| !block.text.lines().any(|line| BUILDING.iter().any(|word| line.starts_with(word))));
    blocks
}

impl Block {
    /// Returns the commands in order.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut unfinished = false;
        for (index, text) in self.text.lines().enumerate() {
            let line = self.line + 1 + index;
            if unfinished && let Some(step) = steps.last_mut() {
                step.command = format!("{}\n{text}", step.command);
                unfinished = !is_whole(&step.command);
                continue;
            }
            let command = match self.kind {
                Kind::Console => text.strip_prefix("$ "),
                Kind::Shell => Some(text).filter(|text| !text.is_empty() && !text.starts_with('#')),
            };
            match (command, steps.last_mut()) {
                (Some(command), _) => {
                    unfinished = !is_whole(command);
                    steps.push(Step { line, command: command.to_owned(), output: Vec::new() });
                }
                (None, Some(step)) if self.kind == Kind::Console => step.output.push(text.to_owned()),
                (None, _) => {}
            }
        }
        steps
    }
}

/// Tells whether a command is at its end: every quote and brace is closed.
fn is_whole(command: &str) -> bool {
    let mut quote = None;
    let mut braces = 0;
    for (index, c) in command.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            // Those of `${name}` and of texts come in pairs.
            (None, '{') => braces += 1,
            (None, '}') => braces -= 1,
            // A comment's apostrophe is none.
            (None, '#') if index == 0 || command[..index].ends_with(char::is_whitespace) => {
                return braces == 0;
            }
            _ => {}
        }
    }
    quote.is_none() && braces == 0
}

#[test]
fn a_document_is_read_by_its_fences() {
    let document = "a\n```sh\n# no command\nota 'a\nb' # it's one\n\nf() {\n  x\n}\n```\n```text\n$ no\n```\n\
                    ```console\n$ one\nsaid\n\nmore\n$ two\n```\n```sh\ncargo build\n```\n";
    let blocks = blocks(document);
    let kinds: Vec<_> = blocks.iter().map(|block| (block.kind, block.line)).collect();
    assert_eq!(kinds, [(Kind::Shell, 2), (Kind::Console, 14)]);
    let commands: Vec<_> = blocks[0].steps().into_iter().map(|step| (step.line, step.command)).collect();
    assert_eq!(commands, [(4, "ota 'a\nb' # it's one".to_owned()), (7, "f() {\n  x\n}".to_owned())]);
    let steps = blocks[1].steps();
    assert_eq!(steps[0].output, ["said", "", "more"]);
    assert_eq!((steps[1].line, steps[1].command.as_str()), (19, "two"));
}
