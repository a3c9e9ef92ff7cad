//! The application's manifest: what a component needs beside its code.

use ota_tests::host::workspace;
use toml::{Table, Value};

/// A component that is not told where to keep things answers nothing, and one that may not reach the server neither.
#[test]
fn every_component_that_keeps_anything_is_told_where_and_may_reach_it() {
    for manifest in ["spin.toml", "tests/kv-probe/spin.toml"] {
        let text = std::fs::read_to_string(workspace().join(manifest)).unwrap();
        let manifest: Table = text.parse().unwrap();
        let components = manifest["component"].as_table().unwrap();
        let keeping = components.iter().filter(|(_, component)| component.get("key_value_stores").is_some());
        let mut seen = 0;
        for (name, component) in keeping {
            for variable in ["store", "redis_address", "redis_password"] {
                let told = component["variables"].get(variable).and_then(Value::as_str);
                assert_eq!(told, Some(format!("{{{{ {variable} }}}}").as_str()), "{name}");
            }
            let hosts = component["allowed_outbound_hosts"].as_array().unwrap();
            assert!(hosts.iter().any(|host| host.as_str() == Some("{{ redis_address }}")), "{name}");
            seen += 1;
        }
        assert!(seen > 0);
    }
}
