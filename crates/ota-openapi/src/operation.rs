//! What is told of one route beside its row in the table of routes.

use ota_core::error::{Fault, Faults};
use ota_http::Problem;
use serde_json::{Value, json};

use crate::names::Name;
use crate::schema::{Schema, text, whole};

/// JSON, in requests and answers.
pub(crate) const JSON: &str = "application/json";
/// The faults of a value, whatever it belongs to.
pub(crate) const VALUE_CODES: [&str; 10] = [
    "request.invalid",
    "value.missing",
    "value.length",
    "value.charset",
    "value.range",
    "value.not-one-of",
    "value.too-many",
    "value.duplicate",
    "value.malformed",
    "value.not-allowed",
];

/// One operation of the document.
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) body: Option<Body>,
    pub(crate) answers: Vec<Answer>,
    /// The codes it may be refused with, and the status of each.
    pub(crate) codes: Vec<(u16, &'static str)>,
    /// Whether it bears a token.
    pub(crate) is_open: bool,
}

/// A parameter in the query or a header; those of the path follow from it.
pub(crate) struct Parameter {
    pub(crate) place: &'static str,
    pub(crate) name: &'static str,
    pub(crate) schema: Schema,
    pub(crate) required: bool,
    /// What an example request says. One that says nothing leaves the parameter out.
    pub(crate) example: Option<Value>,
}

/// What a request brings.
pub(crate) struct Body {
    pub(crate) required: bool,
    pub(crate) media_type: &'static str,
    pub(crate) schema: Schema,
    pub(crate) examples: Vec<(&'static str, Value)>,
}

/// An answer to a request that is not refused.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) says: &'static str,
    pub(crate) content: Vec<(&'static str, Schema)>,
    pub(crate) headers: Vec<Header>,
}

/// A header of an answer.
pub(crate) struct Header {
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
    pub(crate) always: bool,
}

/// Begins to tell of a route. `id` is unique in the document.
pub(crate) fn operation(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    summary: &'static str,
) -> Operation {
    let new = Operation {
        id,
        method,
        path,
        summary,
        description: "",
        parameters: Vec::new(),
        body: None,
        answers: Vec::new(),
        codes: Vec::new(),
        is_open: false,
    };
    let new = new.refuses(&["request.malformed", "request.unauthorized"]);
    let new = new.refuses(&["store.contention", "store.corrupt", "service.variable"]);
    // What the path names may not be there.
    if path.contains('{') { new.refuses(&["request.not-found"]) } else { new }
}

impl Operation {
    /// Adds more than a summary can say.
    pub(crate) fn says(mut self, words: &'static str) -> Self {
        self.description = words;
        self
    }

    /// It bears no token: the request is let in by itself.
    pub(crate) fn open(mut self) -> Self {
        self.is_open = true;
        self.codes.retain(|(_, code)| *code != "request.unauthorized");
        self
    }

    /// Adds codes that refuse the request as a whole.
    pub(crate) fn refuses(mut self, codes: &[&'static str]) -> Self {
        for code in codes {
            self.add_code(Problem::new(code, "").status().as_u16(), code);
        }
        self
    }

    /// Adds codes that tell what is wrong with a field.
    pub(crate) fn faults(mut self, codes: &[&'static str]) -> Self {
        for code in VALUE_CODES.iter().chain(codes) {
            // A problem with one fault bears that fault's code.
            let fault = Fault { pointer: String::new(), code, detail: String::new() };
            let problem = Problem { faults: Faults(vec![fault]), ..Problem::new(code, "") };
            self.add_code(problem.status().as_u16(), code);
        }
        self
    }

    fn add_code(&mut self, status: u16, code: &'static str) {
        if !self.codes.contains(&(status, code)) {
            self.codes.push((status, code));
        }
    }

    /// Takes a parameter in the query.
    pub(crate) fn query(self, name: &'static str, schema: Schema) -> Self {
        let parameter = Parameter { place: "query", name, schema, required: false, example: None };
        self.parameter(parameter).faults(&[])
    }

    /// Takes a parameter in the query without which the request is not let in.
    pub(crate) fn query_needed(self, name: &'static str, schema: Schema, example: &str) -> Self {
        let example = Some(json!(example));
        self.parameter(Parameter { place: "query", name, schema, required: true, example })
    }

    /// Takes a header.
    pub(crate) fn header(self, name: &'static str, schema: Schema) -> Self {
        self.parameter(Parameter { place: "header", name, schema, required: false, example: None })
    }

    /// Takes a header without which there is no answer.
    pub(crate) fn needs_header(self, name: &'static str, schema: Schema, example: &str) -> Self {
        let example = Some(json!(example));
        self.parameter(Parameter { place: "header", name, schema, required: true, example })
    }

    /// Lets the example request say this parameter, the last one.
    pub(crate) fn such_as(mut self, example: impl Into<Value>) -> Self {
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.example = Some(example.into());
        }
        self
    }

    fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Lists in pages of up to `max`.
    pub(crate) fn pages(self, max: usize) -> Self {
        let limit = whole().range(1_u64, max as u64).default(ota_core::limits::PAGE_SIZE_DEFAULT);
        self.query("limit", limit.says("How many items the page has at the most."))
            .query("cursor", text().says("The `next_cursor` of the page before."))
    }

    /// Takes an `Idempotency-Key`.
    pub(crate) fn once(self) -> Self {
        let key = text().len(1, ota_core::limits::IDEMPOTENCY_KEY_LEN_MAX).pattern("^[!-~]+$");
        let says = "The same key with the same body answers with what the first request made.";
        self.header("Idempotency-Key", key.says(says)).refuses(&["request.idempotency-key-reused"])
    }

    /// Takes a JSON body. Without examples there is nothing to say.
    pub(crate) fn body(self, schema: Schema, examples: Vec<(&'static str, Value)>) -> Self {
        let body = Body { required: true, media_type: JSON, schema, examples };
        Self { body: Some(body), ..self }.refuses(&["request.body-cut", "request.too-large"]).faults(&[])
    }

    /// Takes a JSON body, or none.
    pub(crate) fn optional_body(self, schema: Schema, examples: Vec<(&'static str, Value)>) -> Self {
        let mut with = self.body(schema, examples);
        if let Some(body) = &mut with.body {
            body.required = false;
        }
        with
    }

    /// Takes bytes.
    pub(crate) fn bytes(self, media_type: &'static str, required: bool, example: &str) -> Self {
        let examples = vec![("Some bytes", json!(example))];
        let body = Body { required, media_type, schema: crate::schema::bytes(), examples };
        Self { body: Some(body), ..self }.refuses(&["request.body-cut"])
    }

    /// Answers with JSON.
    pub(crate) fn answers(self, status: u16, says: &'static str, schema: Schema) -> Self {
        self.answer(Answer { status, says, content: vec![(JSON, schema)], headers: Vec::new() })
    }

    /// Answers with bytes.
    pub(crate) fn sends(self, status: u16, says: &'static str, media_types: &[&'static str]) -> Self {
        let content = media_types.iter().map(|media_type| (*media_type, crate::schema::bytes())).collect();
        self.answer(Answer { status, says, content, headers: Vec::new() })
    }

    /// Answers without a body.
    pub(crate) fn ends(self, status: u16, says: &'static str) -> Self {
        self.answer(Answer { status, says, content: Vec::new(), headers: Vec::new() })
    }

    fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Tells a header of the answer before.
    pub(crate) fn tells(mut self, name: &'static str, says: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push(Header { name, says, always: true });
        }
        self
    }

    /// Tells a header that the answer before may have.
    pub(crate) fn may_tell(mut self, name: &'static str, says: &'static str) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.headers.push(Header { name, says, always: false });
        }
        self
    }

    /// Returns what the path leaves open, in order.
    pub(crate) fn path_names(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns what a name in the path is called in examples, and what it looks like.
    pub(crate) fn path_name(&self, name: &str) -> Option<&'static Name> {
        Name::of(self.path, name)
    }
}
