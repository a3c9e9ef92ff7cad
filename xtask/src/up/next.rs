//! What to do next: lines that can be pasted into a shell.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::host::Host;

/// Tells what can be done with an empty service.
pub(super) fn steps_without_demo(host: &Host, token: &str, program: &Path) {
    let base = format!("http://{}", host.http);
    print_service(host, token);
    let product = r#"-H 'Content-Type: application/json' -d '{"name":"lamp"}' "#;
    print_curls(
        token,
        &[
            ("make a product", product, format!("{base}/v1/products")),
            ("list products", "", format!("{base}/v1/products")),
            ("list packages", "", format!("{base}/v1/packages")),
        ],
    );
    print_command_line(&base, token, program);
}

/// Tells what can be looked at after the demo.
pub(super) fn steps_after_demo(
    host: &Host,
    token: &str,
    report: &Path,
    program: &Path,
) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(report).with_context(|| report.display().to_string())?;
    let report: Value = serde_json::from_str(&text).context("the demo's report")?;
    print_service(host, token);
    let base = format!("http://{}", host.http);
    print_curls(token, &lines(&base, &report)?);
    print_command_line(&base, token, program);
    Ok(())
}

type Line = (&'static str, &'static str, String);

fn lines(base: &str, report: &Value) -> anyhow::Result<Vec<Line>> {
    let text = |key: &str| report[key].as_str().with_context(|| format!("the demo's report has no {key}"));
    let (product, package, batch) = (text("product_key")?, text("package_id")?, text("batch_id")?);
    let mut lines =
        vec![("who failed, and why", "", format!("{base}/v1/batches/{batch}/tasks?status=failed"))];
    if let Some(device) = report["failed"][0]["device"].as_str() {
        lines.push(("one of them", "", format!("{base}/v1/products/{product}/devices/{device}")));
    } else {
        lines.push(("the devices", "", format!("{base}/v1/products/{product}/devices")));
    }
    lines.push(("the package", "", format!("{base}/v1/packages/{package}")));
    Ok(lines)
}

fn print_service(host: &Host, token: &str) {
    println!("\n  API     http://{}", host.http);
    println!("  broker  mqtt://{}", host.mqtt);
    println!("  token   {token}");
    if let Some(log) = host.log() {
        println!("  log     {}", log.display());
    }
    println!();
}

fn print_curls(token: &str, lines: &[Line]) {
    for (what, options, url) in lines {
        println!("# {what}\ncurl -s -w '\\n' -H 'Authorization: Bearer {token}' {options}'{url}'");
    }
}

fn print_command_line(base: &str, token: &str, program: &Path) {
    println!("# the same with the command line\nexport OVERAIR_SERVER={base} OVERAIR_TOKEN={token}");
    println!("{} product list", program.display());
    println!("\nCtrl-C stops it.");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_lines_name_what_the_demo_made() {
        let report = json!({
            "product_key": "a1", "package_id": "p", "batch_id": "b",
            "failed": [{ "device": "lamp-0007", "reason": "x" }],
        });
        let urls: Vec<_> = lines("http://h", &report).unwrap().into_iter().map(|(_, _, url)| url).collect();
        let wanted = [
            "http://h/v1/batches/b/tasks?status=failed",
            "http://h/v1/products/a1/devices/lamp-0007",
            "http://h/v1/packages/p",
        ];
        assert_eq!(urls, wanted);
        assert!(lines("http://h", &json!({})).is_err());
    }
}
