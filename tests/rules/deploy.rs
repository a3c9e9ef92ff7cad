//! What is in `deploy/` names what there is in `spin.toml`, and so does the gateway: a component, route, variable or topic
//! that comes or goes has to come and go in all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use gateway::{DEFAULTS, ROUTES};
use toml::Value;
use yaml_rust2::{Yaml, YamlLoader};

/// Variables that the gateway has no default for, or does not know: addresses, of which none fits everywhere, and what
/// only Spin's manifest and Spin's store have a use for.
const NOT_THE_GATEWAYS: [&str; 7] = [
    "public_base_url",
    "internal_base_url",
    "mqtt_address",
    "webhook_hosts",
    "store",
    "redis_address",
    "redis_password",
];
/// What the shim of SpinKube knows no trigger for.
const CLOCK: &str = "dispatch-cron";
/// What a name begins with in the environment of the gateway.
const PREFIX: &str = "OVERAIR_";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn manifest() -> toml::Table {
    file("spin.toml").parse().expect("spin.toml")
}

fn documents(path: &str) -> Vec<Yaml> {
    YamlLoader::load_from_str(&file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the document of a kind, and name.
fn document<'a>(documents: &'a [Yaml], kind: &str, name: &str) -> &'a Yaml {
    let is_it =
        |document: &&Yaml| text(&document["kind"]) == kind && text(&document["metadata"]["name"]) == name;
    documents.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} {name}"))
}

fn text(yaml: &Yaml) -> &str {
    yaml.as_str().unwrap_or_else(|| panic!("{yaml:?} is no text"))
}

fn list(yaml: &Yaml) -> &[Yaml] {
    yaml.as_vec().unwrap_or_else(|| panic!("{yaml:?} is no list"))
}

fn names(yaml: &Yaml) -> BTreeSet<String> {
    let map = yaml.as_hash().unwrap_or_else(|| panic!("{yaml:?} is no map"));
    map.keys().map(|key| text(key).to_owned()).collect()
}

/// The variables: each with its default, if it has one.
fn variables() -> BTreeMap<String, Option<String>> {
    let manifest = manifest();
    let default = |variable: &Value| variable.get("default").and_then(Value::as_str).map(str::to_owned);
    let table = manifest["variables"].as_table().expect("variables");
    table.iter().map(|(name, variable)| (name.clone(), default(variable))).collect()
}

fn required() -> BTreeSet<String> {
    variables().into_iter().filter(|(_, default)| default.is_none()).map(|(name, _)| name).collect()
}

fn triggers(kind: &str, of: &str) -> BTreeSet<(String, String)> {
    let manifest = manifest();
    let triggers = manifest["trigger"][kind].as_array().expect("triggers");
    let word = |trigger: &Value, name: &str| trigger[name].as_str().expect("a text").to_owned();
    triggers.iter().map(|trigger| (word(trigger, of), word(trigger, "component"))).collect()
}

/// What devices and the broker say, as the bridge hears it.
fn topics() -> BTreeSet<String> {
    let topic = |(topic, _): (String, String)| topic.trim_start_matches("$share/overair/").to_owned();
    triggers("mqtt", "topic").into_iter().map(topic).collect()
}

#[test]
fn the_gateway_has_every_route_and_no_other() {
    let own: BTreeSet<_> =
        ROUTES.iter().map(|(route, to)| ((*route).to_owned(), to.name().to_owned())).collect();
    assert_eq!(own.len(), ROUTES.len(), "a route stands twice");
    assert_eq!(own, triggers("http", "route"));
}

#[test]
fn the_gateway_has_the_defaults_of_variables() {
    let own: BTreeMap<_, _> =
        DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let elsewhere = |name: &str| NOT_THE_GATEWAYS.contains(&name);
    let expected = variables().into_iter().filter(|(name, _)| !elsewhere(name));
    assert_eq!(own, expected.filter_map(|(name, default)| Some((name, default?))).collect());
}

#[test]
fn wasmclouds_manifest_gives_every_variable_that_is_needed_and_the_interfaces_that_are_imported() {
    let all = [documents("deploy/wasmcloud/overair.yaml"), documents("deploy/wasmcloud/secret.example.yaml")]
        .concat();
    let of_secret = |name| names(&document(&all, "Secret", name)["stringData"]);
    let given = &names(&document(&all, "ConfigMap", "overair")["data"]) | &of_secret("overair");
    let known: BTreeSet<String> = variables().into_keys().map(|name| in_environment(&name)).collect();
    assert_eq!(&given - &known, BTreeSet::new(), "no such variables");
    let mut needed: BTreeSet<String> = required().iter().map(|name| in_environment(name)).collect();
    needed.extend(["public_base_url", "mqtt_address"].map(in_environment));
    assert_eq!(&needed - &given, BTreeSet::new(), "nobody gives these");

    let spec = &document(&all, "WorkloadDeployment", "overair")["spec"]["template"]["spec"];
    for (part, secret) in [(&spec["components"][0], "overair"), (&spec["service"], "overair-clock")] {
        let environment = &part["localResources"]["environment"];
        assert_eq!(text(&environment["secretFrom"][0]["name"]), secret);
        // It reaches what its variables name, or nothing would.
        let hosts: BTreeSet<&str> = list(&part["localResources"]["allowedHosts"]).iter().map(text).collect();
        let addresses = match secret {
            "overair" => document(&all, "ConfigMap", "overair")["data"].clone(),
            _ => environment["config"].clone(),
        };
        for name in ["MQTT_ADDRESS", "S3_ENDPOINT", "INTERNAL_BASE_URL"] {
            if let Some(address) = addresses[format!("{PREFIX}{name}").as_str()].as_str() {
                assert!(hosts.contains(address), "{name} is not among the allowed hosts");
            }
        }
    }
    let clock = names(&spec["service"]["localResources"]["environment"]["config"]);
    let clock = &clock | &of_secret("overair-clock");
    assert_eq!(clock, ["internal_base_url", "internal_token"].map(in_environment).into());

    let world = file("wit/ota.wit");
    let world = world.split_once("world wasmcloud {").expect("the world").1;
    let imported = world.lines().filter_map(|line| line.trim().strip_prefix("import wasmcloud:keyvalue/"));
    let imported: BTreeSet<_> = imported.filter_map(|line| line.strip_suffix("@0.2.0;")).collect();
    for interfaces in
        [&spec["hostInterfaces"], &documents("deploy/wasmcloud/wash.yaml")[0]["dev"]["host_interfaces"]]
    {
        let store = list(interfaces).iter().find(|interface| text(&interface["package"]) == "keyvalue");
        let store = store.expect("the store");
        assert_eq!(list(&store["interfaces"]).iter().map(text).collect::<BTreeSet<_>>(), imported);
        assert_eq!((text(&store["version"]), text(&store["config"]["backend"])), ("0.2.0", "nats"));
    }
}

fn in_environment(name: &str) -> String {
    format!("{PREFIX}{}", name.to_ascii_uppercase())
}

#[test]
fn the_configuration_for_one_machine_names_variables_that_there_are() {
    let wash = &documents("deploy/wasmcloud/wash.yaml")[0];
    let known: BTreeSet<String> = variables().into_keys().map(|name| in_environment(&name)).collect();
    let given = names(&wash["workload"]["environment"]["config"]);
    assert_eq!(&given - &known, BTreeSet::new());
    assert_eq!(text(&wash["workload"]["environment"]["secretFrom"][0]), "overair");
    assert!(wash["secrets"]["overair"]["file"].as_str().is_some());
}

#[test]
fn spinkubes_manifest_runs_every_component_but_the_clock_and_gives_every_variable_that_is_needed() {
    let app = documents("deploy/spinkube/overair.yaml");
    let spec = &document(&app, "SpinApp", "overair")["spec"];
    let manifest = manifest();
    let components = manifest["component"].as_table().expect("components").keys();
    let expected: BTreeSet<&str> = components.map(String::as_str).filter(|name| *name != CLOCK).collect();
    assert_eq!(list(&spec["components"]).iter().map(text).collect::<BTreeSet<_>>(), expected);

    let secret = documents("deploy/spinkube/secret.example.yaml");
    let secrets = names(&document(&secret, "Secret", "overair")["stringData"]);
    let mut used = BTreeSet::new();
    let mut given = BTreeSet::new();
    for variable in list(&spec["variables"]) {
        let name = text(&variable["name"]).to_owned();
        assert!(variables().contains_key(&name), "spin.toml has no variable {name}");
        if let Some(key) = variable["valueFrom"]["secretKeyRef"]["key"].as_str() {
            assert!(secrets.contains(key), "the secret has no {key}");
            used.insert(key.to_owned());
        }
        assert!(given.insert(name), "{:?} is given twice", variable["name"]);
    }
    assert_eq!(&required() - &given, BTreeSet::new(), "nobody gives these");
    assert_eq!(used, secrets);

    let executors = documents("deploy/spinkube/executor.yaml");
    document(&executors, "SpinAppExecutor", text(&spec["executor"]));
    let clock = documents("deploy/spinkube/clock.yaml");
    let clock = &document(&clock, "Deployment", "overair-clock")["spec"]["template"]["spec"]["containers"][0];
    let tick = format!("http://overair.overair.svc.cluster.local{}", "/internal/dispatch/tick");
    assert!(text(&clock["args"][0]).contains(&tick));
    assert!(secrets.contains(text(&clock["env"][0]["valueFrom"]["secretKeyRef"]["key"])));
}

#[test]
fn emqx_hands_on_what_devices_say_and_nothing_that_nobody_reads() {
    let config = file("deploy/emqx/overair.conf");
    for (open, close) in [('{', '}'), ('[', ']')] {
        assert_eq!(config.matches(open).count(), config.matches(close).count(), "{open}{close}");
    }
    let rules = config.split("\"\"\"").filter(|text| text.starts_with("SELECT"));
    let from: BTreeSet<String> = rules
        .filter_map(|sql| sql.split_once("FROM"))
        .flat_map(|(_, from)| from.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // It makes presence itself, and does nothing for sub-devices.
    let missing = |topic: &&String| topic.starts_with("/ext/") || topic.starts_with("/overair/");
    let mut expected: BTreeSet<String> = topics().iter().filter(|topic| !missing(topic)).cloned().collect();
    expected.extend(["$events/client_connected", "$events/client_disconnected"].map(str::to_owned));
    assert_eq!(from, expected);
    // Every action belongs to a rule, and each has its connector.
    let named = |prefix: &str| -> BTreeSet<String> {
        let lines = config.lines().filter_map(|line| line.strip_prefix(prefix));
        lines.filter_map(|line| line.strip_suffix(" {")).map(str::to_owned).collect()
    };
    assert_eq!(named("actions.http."), named("rule_engine.rules."));
    for connector in named("connectors.http.") {
        assert!(config.contains(&format!("connector = {connector}\n")), "{connector} has no action");
    }
    for path in ["/internal/device-auth/login", "/internal/device-messages?topic="] {
        assert!(config.contains(path), "{path}");
        let route = path.split(['?']).next().unwrap_or_default();
        let is_of =
            |(known, _): &(&str, gateway::Function)| route.starts_with(known.trim_end_matches("/..."));
        assert!(ROUTES.iter().any(is_of), "{route}");
    }
    let access = file("deploy/emqx/overair-acl.conf");
    for topic in topics().iter().filter(|topic| topic.starts_with("/ota/")) {
        let own = topic.replace("+/+", "${client_attrs.product_key}/${client_attrs.device_name}");
        assert!(access.contains(&own), "no device may publish on {own}");
    }
    assert!(access.trim_end().ends_with("{deny, all}."));
}

#[test]
fn mosquitto_lets_the_service_and_a_device_use_their_topics() {
    let access = file("deploy/mosquitto/overair.acl");
    let service = variables().remove("mqtt_username").flatten().expect("it has a default");
    assert!(access.contains(&format!("user {service}\ntopic readwrite #\n")));
    for topic in topics().iter().filter(|topic| topic.starts_with("/ota/")) {
        let own = topic.replace("+/+", "a1b2c3d4e5f/lamp-1");
        assert!(access.contains(&format!("topic write {own}\n")), "no device may publish on {own}");
    }
}
