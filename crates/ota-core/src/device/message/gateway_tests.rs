use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::device::auth::password;

fn device(name: &str) -> DeviceRef {
    DeviceRef { product_key: ProductKey::new("pk").unwrap(), device_name: DeviceName::new(name).unwrap() }
}

fn request(verb: &str, payload: &str) -> GatewayRequest {
    parse(&format!("/ext/session/pk/gate-1/combine/{verb}"), payload.as_bytes()).unwrap()
}

fn refusal(verb: &str, payload: &str) -> Refusal {
    request(verb, payload).members.unwrap_err()
}

fn check(member: &Member, secret: &str) -> Result<(), Refusal> {
    let gateway = device("gate-1");
    member.check(&gateway, Some(&gateway), Some(&DeviceSecret::new(secret).unwrap()))
}

/// A login of `sub-1` as text, with one member said otherwise or left out.
fn login_but(name: &str, value: Option<&str>) -> String {
    let sign = password("pk.sub-1", &device("sub-1"), Some("789"), SignMethod::HmacSha256, "secret");
    let members = [
        ("productKey", "\"pk\""),
        ("deviceName", "\"sub-1\""),
        ("clientId", "\"pk.sub-1\""),
        ("timestamp", "\"789\""),
        ("signMethod", "\"hmacSha256\""),
        ("sign", &format!("\"{sign}\"")),
        ("cleanSession", "\"true\""),
    ];
    let members = members.iter().filter_map(|(known, own)| {
        let value = if *known == name { value? } else { own };
        Some(format!("\"{known}\":{value}"))
    });
    members.collect::<Vec<_>>().join(",")
}

fn login(members: &str) -> String {
    format!(r#"{{"id":"1","version":"1.0","params":{{{members}}}}}"#)
}

#[test]
fn r168_the_published_signature_logs_a_sub_device_in() {
    // The vendor's example of a device that connects by itself: the same words are signed, in the same order.
    for (method, sign) in [
        ("hmacmd5", "14B198324FE55E1D3C88F2E705E201EE"),
        ("hmacSha1", "fafd82a3d602b37fb0fa8b7892f24a477f851a14"),
        ("hmacsha256", "6074A46A91B1EBB2CC4EA42790AD0E80202C9843859FC292E57C4EB19FAD9E57"),
    ] {
        let payload = format!(
            r#"{{"id":"123","params":{{"productKey":"pk","deviceName":"device","clientId":"12345",
            "timestamp":"789","signMethod":"{method}","sign":"{sign}","cleanSession":"true"}}}}"#
        );
        let request = request("login", &payload);
        assert_eq!((&request.gateway, request.verb), (&device("gate-1"), Verb::Login));
        let members = request.members.unwrap();
        assert_eq!(members[0].device, device("device"));
        assert_eq!(check(&members[0], "secret"), Ok(()), "{method}");
        assert_eq!(check(&members[0], "another"), Err(Refusal::Sign), "{method}");
    }
}

#[test]
fn r168_every_signed_word_counts_and_the_others_do_not() {
    let check = |payload: &str| check(&request("login", payload).members.unwrap()[0], "secret");
    assert_eq!(check(&login(&login_but("", None))), Ok(()));
    for (name, value) in [
        ("productKey", "\"pk2\""),
        ("deviceName", "\"sub-2\""),
        ("clientId", "\"sub-1\""),
        ("timestamp", "\"790\""),
        ("signMethod", "\"hmacsha1\""),
        ("sign", "\"no hexadecimal digits\""),
        ("sign", "\"00\""),
    ] {
        assert_eq!(check(&login(&login_but(name, Some(value)))), Err(Refusal::Sign), "{name}");
    }
    assert_eq!(check(&login(&login_but("timestamp", None))), Err(Refusal::Sign));
    for (name, value) in [("timestamp", Some("789")), ("cleanSession", Some("false")), ("cleanSession", None)]
    {
        assert_eq!(check(&login(&login_but(name, value))), Ok(()), "{name}");
    }
}

#[test]
fn r168_what_is_missing_or_has_no_sense_is_a_parameter_error() {
    for name in ["productKey", "deviceName", "clientId", "sign"] {
        assert_eq!(refusal("login", &login(&login_but(name, None))), Refusal::Parameter, "{name}");
        assert_eq!(refusal("login", &login(&login_but(name, Some("7")))), Refusal::Parameter, "{name}");
        assert_eq!(refusal("login", &login(&login_but(name, Some("\"\"")))), Refusal::Parameter, "{name}");
    }
    for (name, value) in [("signMethod", "\"rot13\""), ("timestamp", "{}"), ("deviceName", "\"a/b/c\"")] {
        assert_eq!(refusal("login", &login(&login_but(name, Some(value)))), Refusal::Parameter, "{name}");
    }
    let long = format!("\"{}\"", "c".repeat(257));
    assert_eq!(refusal("login", &login(&login_but("clientId", Some(&long)))), Refusal::Parameter);
    for payload in ["", "{", "[]", "{}", r#"{"id":"1","params":null}"#, r#"{"id":"1","params":[]}"#] {
        assert_eq!(refusal("login", payload), Refusal::Parameter, "{payload}");
        assert_eq!(refusal("batch_logout", payload), Refusal::Parameter, "{payload}");
    }
}

#[test]
fn the_id_is_echoed_even_where_the_rest_makes_no_sense() {
    let request = request("batch_login", r#"{"id":7,"params":{"deviceList":"none"}}"#);
    assert_eq!(request.id, MessageId::Number(7));
    let reply = render_reply(&request, Some(Refusal::Parameter), &[]);
    assert_eq!(reply, r#"{"id":7,"code":460,"data":[],"message":"request parameter error"}"#);
}

#[test]
fn r168_the_c_sdk_logs_several_in_with_one_method_for_all() {
    let entry = |name: &str| {
        let client_id = format!("pk.{name}");
        let sign = password(&client_id, &device(name), Some("9"), SignMethod::HmacSha256, "secret");
        format!(
            r#"{{"productKey":"pk","deviceName":"{name}","clientId":"{client_id}","timestamp":"9","cleanSession":"false","sign":"{sign}"}}"#
        )
    };
    let list = [entry("sub-1"), entry("sub-2"), entry("sub-1")].join(",");
    let payload = format!(
        r#"{{"id":"3","version":"1.0","params":{{"signMethod":"hmacSha256","deviceList":[{list}]}}}}"#
    );
    let request = request("batch_login", &payload);
    let members = request.members.as_ref().unwrap();
    let names: Vec<_> = members.iter().map(|member| member.device.device_name.to_string()).collect();
    assert_eq!(names, ["sub-1", "sub-2"], "a device that is named twice is meant once");
    for member in members {
        assert_eq!(check(member, "secret"), Ok(()));
    }
}

#[test]
fn r168_a_method_of_its_own_goes_before_that_of_the_list() {
    let members = login_but("signMethod", Some("\"hmacsha256\""));
    let payload = format!(r#"{{"id":"3","params":{{"signMethod":"hmacmd5","deviceList":[{{{members}}}]}}}}"#);
    assert_eq!(check(&request("batch_login", &payload).members.unwrap()[0], "secret"), Ok(()));
}

#[test]
fn r168_one_message_names_at_most_50_devices() {
    let list = |count: usize| {
        let names = (0..count).map(|n| format!(r#"{{"productKey":"pk","deviceName":"sub-{n}"}}"#));
        format!(r#"{{"id":1,"params":[{}]}}"#, names.collect::<Vec<_>>().join(","))
    };
    assert_eq!(request("batch_logout", &list(50)).members.unwrap().len(), 50);
    assert_eq!(refusal("batch_logout", &list(51)), Refusal::Parameter);
}

#[test]
fn a_logout_names_its_devices_and_proves_nothing() {
    let one = request("logout", r#"{"id":123,"params":{"productKey":"pk","deviceName":"sub-1"}}"#);
    let (gateway, other) = (device("gate-1"), device("gate-2"));
    let member = &one.members.as_ref().unwrap()[0];
    assert_eq!((one.verb, &member.device), (Verb::Logout, &device("sub-1")));
    assert_eq!(member.check(&gateway, Some(&gateway), None), Ok(()));
    for behind in [None, Some(&other)] {
        assert_eq!(member.check(&gateway, behind, None), Err(Refusal::NoSession));
    }
    let listed = r#"{"id":1,"params":{"deviceList":[{"productKey":"pk","deviceName":"sub-1"}]}}"#;
    assert_eq!(request("batch_logout", listed).members.unwrap()[0].device, device("sub-1"));
}

#[test]
fn r168_a_login_needs_the_device_and_then_its_place_and_then_its_sign() {
    let request = request("login", &login(&login_but("", None)));
    let member = &request.members.as_ref().unwrap()[0];
    let (gateway, other) = (device("gate-1"), device("gate-2"));
    let (right, wrong) = (DeviceSecret::new("secret").unwrap(), DeviceSecret::new("other").unwrap());
    for (behind, secret, expected) in [
        (None, None, Err(Refusal::Unknown)),
        (None, Some(&right), Err(Refusal::NotBehind)),
        (Some(&other), Some(&right), Err(Refusal::NotBehind)),
        (Some(&gateway), Some(&wrong), Err(Refusal::Sign)),
        (Some(&gateway), Some(&right), Ok(())),
    ] {
        assert_eq!(member.check(&gateway, behind, secret), expected);
    }
}

#[test]
fn r167_only_the_topics_of_a_gateway_are_read_and_the_gateway_is_the_topics() {
    for topic in [
        "/ext/session/pk/gate-1/combine/explode",
        "/ext/session/pk/gate-1/combine/login_reply",
        "/ext/session/pk/gate-1/combine/login/more",
        "/ext/session/pk/gate-1/combine",
        "/ext/session/pk/gate-1/login",
        "/ext/error/pk/gate-1/combine/login",
    ] {
        assert_eq!(parse(topic, b"{}").unwrap_err(), MessageError::UnknownTopic, "{topic}");
    }
    let fault = parse("/ext/session/pk/g+/combine/login", b"{}").unwrap_err();
    assert!(matches!(fault, MessageError::Device { .. }));
    // What the payload says of a gateway is nothing.
    let payload = r#"{"id":1,"params":{"productKey":"pk","deviceName":"gate-2"}}"#;
    assert_eq!(request("logout", payload).gateway, device("gate-1"));
}

#[test]
fn replies_go_where_the_request_came_from_in_its_form() {
    let devices = [device("sub-1"), device("sub-2")];
    for (verb, devices, topic, text) in [
        (
            "login",
            &devices[..1],
            "/ext/session/pk/gate-1/combine/login_reply",
            r#"{"id":"1","code":200,"data":{"productKey":"pk","deviceName":"sub-1"},"message":"success"}"#,
        ),
        (
            "logout",
            &[],
            "/ext/session/pk/gate-1/combine/logout_reply",
            r#"{"id":"1","code":200,"data":{},"message":"success"}"#,
        ),
        (
            "batch_login",
            &devices[..1],
            "/ext/session/pk/gate-1/combine/batch_login_reply",
            r#"{"id":"1","code":200,"data":[{"productKey":"pk","deviceName":"sub-1"}],"message":"success"}"#,
        ),
        (
            "batch_logout",
            &[],
            "/ext/session/pk/gate-1/combine/batch_logout_reply",
            r#"{"id":"1","code":200,"data":[],"message":"success"}"#,
        ),
    ] {
        let request = request(verb, r#"{"id":"1"}"#);
        assert_eq!(reply_topic(&request), topic);
        assert_eq!(render_reply(&request, None, devices), text);
    }
    let refused = render_reply(&request("login", r#"{"id":"1"}"#), Some(Refusal::NotBehind), &devices[..1]);
    assert!(refused.contains(r#""code":6401,"#), "{refused}");
}

#[test]
fn the_broker_is_told_which_devices_a_gateway_carries() {
    let devices = vec![device("sub-1"), device("a@b.c:d")];
    assert_eq!(attachment_topic(&device("gate-1")), "/overair/sub-device/pk/gate-1");
    assert_eq!(
        render_attachment(Verb::Login, &devices),
        r#"{"attach":[{"productKey":"pk","deviceName":"sub-1"},{"productKey":"pk","deviceName":"a@b.c:d"}]}"#
    );
    assert_eq!(
        render_attachment(Verb::Logout, &devices[..1]),
        r#"{"detach":[{"productKey":"pk","deviceName":"sub-1"}]}"#
    );
}
