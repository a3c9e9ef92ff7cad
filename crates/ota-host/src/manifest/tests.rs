use super::*;

const GOOD: &str = r#"
spin_manifest_version = 2
[application]
name = "app"
version = "1.0.0"
[application.trigger.mqtt]
address = "{{ mqtt_address }}"
username = "u"
password = "{{ password }}"
keep_alive_interval = "30"
[variables]
mqtt_address = { default = "mqtt://127.0.0.1:1883" }
password = { required = true, secret = true }
[[trigger.http]]
route = "/a/..."
component = "a"
[[trigger.cron]]
component = "a"
cron_expression = "0/5 * * * * *"
[[trigger.mqtt]]
component = "a"
topic = "$share/g/x/+"
qos = "1"
[component.a]
source = "a.wasm"
key_value_stores = ["default"]
allowed_outbound_hosts = ["{{ mqtt_address }}"]
environment = { LEVEL = "info" }
[component.a.variables]
address = "{{ mqtt_address }}"
[component.a.build]
command = "cargo build"
"#;

fn faults(text: &str) -> Vec<String> {
    match Manifest::parse(text, Path::new("/app/spin.toml")) {
        Err(ManifestError::Faults { faults, .. }) => faults,
        other => panic!("expected faults, got {other:?}"),
    }
}

#[test]
fn a_good_manifest_is_read_whole() {
    let manifest = Manifest::parse(GOOD, Path::new("/app/spin.toml")).unwrap();
    assert_eq!(manifest.name, "app");
    assert_eq!(manifest.http_triggers[0].route.raw(), "/a/...");
    assert_eq!(manifest.mqtt_triggers[0].qos, 1);
    assert_eq!(manifest.cron_triggers.len(), 1);
    let component = &manifest.components["a"];
    assert_eq!(component.source, Path::new("/app/a.wasm"));
    assert_eq!(component.environment["LEVEL"], "info");
    assert!(manifest.variables["password"].secret);
}

#[test]
fn all_faults_are_reported_at_once() {
    let text = r#"
spin_manifest_version = 1
colour = "red"
[application]
[application.trigger.redis]
address = "x"
[variables]
Bad = { default = "x" }
none = {}
both = { required = true, default = "x" }
[[trigger.http]]
route = "a"
component = "a"
executor = { type = "wagi" }
[[trigger.http]]
route = { private = true }
component = "ghost"
[[trigger.redis]]
channel = "x"
[[trigger.cron]]
component = "a"
cron_expression = "* * * * *"
[[trigger.mqtt]]
component = "a"
topic = "t"
qos = 1
[component.a]
source = "a.wasm"
files = ["x"]
key_value_stores = ["default", "other"]
allowed_outbound_hosts = ["{{ nowhere }}", "{{ x"]
"#;
    let faults = faults(text);
    for part in [
        "`spin_manifest_version` must be 2",
        "manifest: `colour` is not supported",
        "application: `name` is missing",
        "application.trigger: `redis` is not supported",
        "variables: `Bad` is no variable name",
        "variables.none: needs `default",
        "variables.both: is required and has a default",
        "route `a` does not start with `/`",
        "trigger.http[0]: `executor` is not supported",
        "trigger.http[1]: `route` must be a string, not table",
        "trigger: `redis` is not supported",
        "trigger.cron[0]: ",
        "trigger.mqtt[0]: `qos` must be a string, not integer",
        "component.a: `files` is not supported",
        "component.a: store `other`",
        "component.a: `allowed_outbound_hosts`: `{{` without `}}`",
        "component.a: variable `nowhere` is not declared",
    ] {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} is missing in {faults:#?}");
    }
}

#[test]
fn references_are_checked() {
    let faults = faults(&format!(
        "{}\n[[trigger.http]]\nroute = \"/a/...\"\ncomponent = \"b\"\n",
        GOOD.replace("source = \"a.wasm\"", "")
    ));
    for part in
        ["there is no component `b`", "route `/a/...` is there twice", "component.a: `source` is missing"]
    {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} is missing in {faults:#?}");
    }
}

#[test]
fn an_mqtt_trigger_needs_a_broker() {
    let without = GOOD
        .replace("[application.trigger.mqtt]\n", "")
        .replace("address = \"{{ mqtt_address }}\"\nusername = \"u\"\npassword = \"{{ password }}\"\n", "")
        .replace("keep_alive_interval = \"30\"\n", "");
    assert_eq!(faults(&without), ["trigger.mqtt: needs `[application.trigger.mqtt]`"]);
}

#[test]
fn text_that_is_no_toml_says_where() {
    let error = Manifest::parse("a = ", Path::new("spin.toml")).unwrap_err();
    assert!(matches!(error, ManifestError::Syntax { .. }), "{error}");
}
