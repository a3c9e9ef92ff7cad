//! The application manifest, `spin.toml`: the subset of Spin's version 2 that this host runs.
//!
//! What the host does not support is a fault, never silence. A manifest is read to its end before its faults are
//! reported, all at once.

mod section;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::cron::Schedule;
use crate::routes::Route;
use crate::template::{Template, is_variable_name};
use section::{Faults, Section};

/// The one key-value store there is.
pub const DEFAULT_STORE: &str = "default";

/// An application: its components and what sets them off.
#[derive(Debug)]
pub struct Manifest {
    /// The application's name.
    pub name: String,
    /// The variables it declares.
    pub variables: BTreeMap<String, Variable>,
    /// The broker that the MQTT triggers connect to.
    pub mqtt_broker: Option<MqttBroker>,
    /// What HTTP requests set off.
    pub http_triggers: Vec<HttpTrigger>,
    /// What the clock sets off.
    pub cron_triggers: Vec<CronTrigger>,
    /// What MQTT messages set off.
    pub mqtt_triggers: Vec<MqttTrigger>,
    /// The components by name.
    pub components: BTreeMap<String, Component>,
}

/// A declared variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its value when none is given; a variable without one is required.
    pub default: Option<String>,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// `[application.trigger.mqtt]`.
#[derive(Clone, Debug)]
pub struct MqttBroker {
    /// `mqtt://host:port`.
    pub address: Template,
    /// The account of the triggers.
    pub username: Template,
    /// Its password.
    pub password: Template,
    /// In seconds.
    pub keep_alive_interval: Template,
}

/// `[[trigger.http]]`.
#[derive(Clone, Debug)]
pub struct HttpTrigger {
    /// The paths it answers.
    pub route: Route,
    /// The component that answers.
    pub component: String,
}

/// `[[trigger.cron]]`.
#[derive(Clone, Debug)]
pub struct CronTrigger {
    /// When it runs.
    pub schedule: Schedule,
    /// The component that runs.
    pub component: String,
}

/// `[[trigger.mqtt]]`.
#[derive(Clone, Debug)]
pub struct MqttTrigger {
    /// The topic filter it subscribes to.
    pub topic: Template,
    /// The quality of service it asks for: 0, 1 or 2.
    pub qos: u8,
    /// The component that gets the messages.
    pub component: String,
}

/// `[component.name]`.
#[derive(Clone, Debug)]
pub struct Component {
    /// The wasm file.
    pub source: PathBuf,
    /// The stores it may open.
    pub key_value_stores: Vec<String>,
    /// Where it may connect to.
    pub allowed_outbound_hosts: Vec<Template>,
    /// The variables it can ask for.
    pub variables: BTreeMap<String, Template>,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
}

/// Why a manifest cannot be run.
#[derive(Debug)]
pub enum ManifestError {
    /// The file cannot be read.
    Unreadable {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no TOML.
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// Everything that is wrong with it.
    Faults {
        /// The manifest.
        path: PathBuf,
        /// One line each.
        faults: Vec<String>,
    },
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, .. } => write!(f, "cannot read {}", path.display()),
            Self::Syntax { path, .. } => write!(f, "{} is not valid TOML", path.display()),
            Self::Faults { path, faults } => {
                write!(f, "{} cannot be run by this host:", path.display())?;
                faults.iter().try_for_each(|fault| write!(f, "\n  - {fault}"))
            }
        }
    }
}

impl std::error::Error for ManifestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { source, .. } => Some(source),
            Self::Syntax { source, .. } => Some(source),
            Self::Faults { .. } => None,
        }
    }
}

impl Manifest {
    /// Reads a manifest. The sources of its components are relative to the folder it is in.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ManifestError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the text of the manifest at `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ManifestError> {
        let table = text
            .parse()
            .map_err(|source| ManifestError::Syntax { path: path.to_owned(), source: Box::new(source) })?;
        let faults = Faults::default();
        let folder = path.parent().unwrap_or(Path::new(""));
        let manifest = read_manifest(Section::new("", table, &faults), folder);
        check_references(&manifest, &faults);
        match faults.into_vec() {
            faults if faults.is_empty() => Ok(manifest),
            faults => Err(ManifestError::Faults { path: path.to_owned(), faults }),
        }
    }
}

fn read_manifest(mut root: Section<'_>, folder: &Path) -> Manifest {
    match root.number("spin_manifest_version") {
        Some(2) => {}
        _ => root.fault("`spin_manifest_version` must be 2"),
    }
    let mut application = root.section("application");
    let name = application.required_text("name");
    for about in ["version", "description"] {
        application.text(about);
    }
    application.texts("authors");
    let mut application_triggers = application.section("trigger");
    let mqtt_broker =
        application_triggers.has("mqtt").then(|| read_broker(application_triggers.section("mqtt")));
    application_triggers.finish();
    application.finish();

    let mut variables = BTreeMap::new();
    let mut section = root.section("variables");
    for name in section.keys() {
        if !is_variable_name(&name) {
            section.fault(format_args!("`{name}` is no variable name"));
        }
        variables.insert(name.clone(), read_variable(section.section(&name)));
    }

    let mut triggers = root.section("trigger");
    let http_triggers = triggers.list("http").into_iter().filter_map(read_http_trigger).collect();
    let cron_triggers = triggers.list("cron").into_iter().filter_map(read_cron_trigger).collect();
    let mqtt_triggers = triggers.list("mqtt").into_iter().filter_map(read_mqtt_trigger).collect();
    triggers.finish();

    let mut section = root.section("component");
    let components = section
        .keys()
        .into_iter()
        .map(|name| (name.clone(), read_component(section.section(&name), folder)))
        .collect();
    root.finish();
    Manifest { name, variables, mqtt_broker, http_triggers, cron_triggers, mqtt_triggers, components }
}

fn read_variable(mut section: Section<'_>) -> Variable {
    let required = section.flag("required");
    let default = section.text("default");
    let secret = section.flag("secret");
    section.text("description");
    match (required, &default) {
        (true, Some(_)) => section.fault("is required and has a default; one of them must go"),
        (false, None) => section.fault("needs `default = \"..\"` or `required = true`"),
        _ => {}
    }
    section.finish();
    Variable { default, secret }
}

fn read_broker(mut section: Section<'_>) -> MqttBroker {
    let mut take = |key: &str| {
        if !section.has(key) {
            section.fault(format_args!("`{key}` is missing"));
        }
        section
            .template(key)
            .unwrap_or_else(|| Template::parse("").expect("the empty template is a template"))
    };
    let broker = MqttBroker {
        address: take("address"),
        username: take("username"),
        password: take("password"),
        keep_alive_interval: take("keep_alive_interval"),
    };
    section.finish();
    broker
}

fn read_http_trigger(mut section: Section<'_>) -> Option<HttpTrigger> {
    let route = section.required_text("route");
    let route = Route::parse(&route).map_err(|fault| section.fault(fault)).ok();
    let component = section.required_text("component");
    section.text("id");
    section.finish();
    Some(HttpTrigger { route: route?, component })
}

fn read_cron_trigger(mut section: Section<'_>) -> Option<CronTrigger> {
    let expression = section.required_text("cron_expression");
    let schedule = Schedule::parse(&expression).map_err(|fault| section.fault(fault)).ok();
    let component = section.required_text("component");
    section.text("id");
    section.finish();
    Some(CronTrigger { schedule: schedule?, component })
}

fn read_mqtt_trigger(mut section: Section<'_>) -> Option<MqttTrigger> {
    if !section.has("topic") {
        section.fault("`topic` is missing");
    }
    let topic = section.template("topic");
    let qos = match section.required_text("qos").as_str() {
        "0" => Some(0),
        "1" => Some(1),
        "2" => Some(2),
        other => {
            section.fault(format_args!("`qos` must be \"0\", \"1\" or \"2\", not `{other}`"));
            None
        }
    };
    let component = section.required_text("component");
    section.text("id");
    section.finish();
    Some(MqttTrigger { topic: topic?, qos: qos?, component })
}

fn read_component(mut section: Section<'_>, folder: &Path) -> Component {
    let source = folder.join(section.required_text("source"));
    section.text("description");
    let key_value_stores = section.texts("key_value_stores");
    for store in key_value_stores.iter().filter(|store| *store != DEFAULT_STORE) {
        section
            .fault(format_args!("store `{store}`: only the store `{DEFAULT_STORE}` is offered by this host"));
    }
    let allowed_outbound_hosts = section.templates("allowed_outbound_hosts");
    let mut variables = BTreeMap::new();
    let mut inner = section.section("variables");
    for name in inner.keys() {
        if !is_variable_name(&name) {
            inner.fault(format_args!("`{name}` is no variable name"));
        }
        variables.extend(inner.template(&name).map(|template| (name, template)));
    }
    let mut environment = BTreeMap::new();
    let mut inner = section.section("environment");
    for name in inner.keys() {
        environment.extend(inner.text(&name).map(|value| (name, value)));
    }
    // For those who build the component, and for tools beside Spin.
    section.ignore("build");
    section.ignore("tool");
    section.finish();
    Component { source, key_value_stores, allowed_outbound_hosts, variables, environment }
}

/// Checks what one part of a manifest says about another.
fn check_references(manifest: &Manifest, faults: &Faults) {
    let triggers = (manifest.http_triggers.iter().map(|t| ("http", &t.component)))
        .chain(manifest.cron_triggers.iter().map(|t| ("cron", &t.component)))
        .chain(manifest.mqtt_triggers.iter().map(|t| ("mqtt", &t.component)));
    for (kind, component) in triggers {
        if !component.is_empty() && !manifest.components.contains_key(component) {
            faults.add(format!("trigger.{kind}: there is no component `{component}`"));
        }
    }
    for (at, trigger) in manifest.http_triggers.iter().enumerate() {
        if manifest.http_triggers[..at].iter().any(|earlier| earlier.route.same_paths(&trigger.route)) {
            faults.add(format!("trigger.http: route `{}` is there twice", trigger.route.raw()));
        }
    }
    if manifest.mqtt_broker.is_none() && !manifest.mqtt_triggers.is_empty() {
        faults.add("trigger.mqtt: needs `[application.trigger.mqtt]`");
    }
    let broker = manifest.mqtt_broker.iter();
    let in_broker = broker
        .flat_map(|b| [&b.address, &b.username, &b.password, &b.keep_alive_interval])
        .chain(manifest.mqtt_triggers.iter().map(|t| &t.topic))
        .map(|template| ("mqtt trigger".to_owned(), template));
    let in_components = manifest.components.iter().flat_map(|(name, component)| {
        let templates = component.allowed_outbound_hosts.iter().chain(component.variables.values());
        templates.map(move |template| (format!("component.{name}"), template))
    });
    for (place, template) in in_broker.chain(in_components) {
        for name in template.variables().filter(|name| !manifest.variables.contains_key(*name)) {
            faults.add(format!("{place}: variable `{name}` is not declared in `[variables]`"));
        }
    }
}

#[cfg(test)]
mod tests;
