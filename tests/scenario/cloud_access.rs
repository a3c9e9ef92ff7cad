//! Who may use the vendor's cloud API, and how refusals are told there.

use ota_tests::{Call, Cloud, Pairs, World, json, minutes, query, seconds};

const CODE: &str = "Code";

fn world() -> (World, Cloud) {
    let world = World::new().product("lamp").devices(1);
    let cloud = world.cloud();
    (world, cloud)
}

/// A signed request for the list of packages.
fn list(cloud: &Cloud) -> Pairs {
    cloud.signed("GET", "ListOTAFirmware", &[("CurrentPage", "1"), ("PageSize", "10")])
}

fn altered(pairs: &Pairs, name: &str, value: &str) -> Pairs {
    let mut pairs = pairs.clone();
    pairs.retain(|(other, _)| other != name);
    pairs.push((name.to_owned(), value.to_owned()));
    pairs
}

#[test]
fn r177_a_signed_request_is_answered_in_a_query_and_in_a_form() {
    let (_world, cloud) = world();
    let page = [("CurrentPage", "1"), ("PageSize", "10"), ("DestVersion", "1.0 *~灯&=")];
    for answer in [cloud.call("ListOTAFirmware", &page), cloud.post("ListOTAFirmware", &page)] {
        assert_eq!(answer.expect(200).json()["Success"], true);
    }
}

#[test]
fn r177_a_request_with_an_altered_parameter_is_refused() {
    let (_world, cloud) = world();
    let good = list(&cloud);
    for pairs in [
        altered(&good, "PageSize", "11"),
        altered(&good, "ProductKey", "a1"),
        altered(&good, "Signature", "x"),
    ] {
        assert_eq!(cloud.send(&pairs).expect(400).text_of(CODE), "SignatureDoesNotMatch");
    }
    let as_post = cloud.signed("POST", "ListOTAFirmware", &[("CurrentPage", "1"), ("PageSize", "10")]);
    assert_eq!(cloud.send(&as_post).expect(400).text_of(CODE), "SignatureDoesNotMatch");
    assert_eq!(cloud.send(&good).expect(200).json()["Success"], true, "nobody else can use up a nonce");
}

#[test]
fn r177_a_request_is_made_once() {
    let (world, cloud) = world();
    let pairs = list(&cloud);
    assert_eq!(cloud.send(&pairs).expect(200).json()["Success"], true);
    assert_eq!(cloud.send(&pairs).expect(400).text_of(CODE), "SignatureNonceUsed");
    world.advance(minutes(14));
    assert_eq!(cloud.send(&pairs).expect(400).text_of(CODE), "SignatureNonceUsed");
    let again = [("CurrentPage", "2"), ("PageSize", "10"), ("SignatureNonce", "mine")];
    assert_eq!(cloud.call("ListOTAFirmware", &again).expect(200).json()["Success"], true);
    assert_eq!(cloud.call("ListOTAFirmware", &again).expect(400).text_of(CODE), "SignatureNonceUsed");
}

#[test]
fn r177_a_request_made_twice_at_once_is_performed_once() {
    let (world, cloud) = world();
    // Right before each of the first operations of the store that taking a nonce makes.
    for at in 1..=4 {
        let nonce = format!("twice-{at}");
        let page = [("CurrentPage", "1"), ("PageSize", "10"), ("SignatureNonce", nonce.as_str())];
        let signed = cloud.signed("GET", "ListOTAFirmware", &page);
        let rival = world.interrupt(at, Call::get(format!("/cloud-api/?{}", query(&signed))));
        let mine = cloud.send(&signed).status;
        world.kv().clear_faults();
        let mut statuses = [mine, rival.get().expect("the moment came")];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400], "before operation {at}");
    }
}

#[test]
fn r177_a_request_is_good_for_15_minutes() {
    let (world, cloud) = world();
    let (pairs, late) = (list(&cloud), list(&cloud));
    world.advance(minutes(15));
    assert_eq!(cloud.send(&pairs).expect(200).json()["Success"], true);
    world.advance(seconds(1));
    assert_eq!(cloud.send(&late).expect(400).text_of(CODE), "InvalidTimeStamp.Expired");
}

#[test]
fn r177_a_service_without_an_access_key_lets_nobody_in() {
    let (world, cloud) = world();
    let none = world.cloud_with("", "");
    assert_eq!(none.send(&list(&none)).expect(400).text_of(CODE), "MissingAccessKeyId");
    let other = world.cloud_with("access-key-ie", "access-key-secret");
    assert_eq!(other.send(&list(&other)).expect(404).text_of(CODE), "InvalidAccessKeyId.NotFound");
    for name in ["access_key_secret", "access_key_id"] {
        world.engine().set_variable(name, "");
        assert_eq!(cloud.send(&list(&cloud)).expect(404).text_of(CODE), "InvalidAccessKeyId.NotFound");
        let guess = world.cloud_with("access-key-id", "");
        assert_eq!(guess.send(&list(&guess)).expect(404).text_of(CODE), "InvalidAccessKeyId.NotFound");
    }
}

#[test]
fn r178_a_refusal_by_an_operation_tells_success_a_code_a_message_and_the_requests_id() {
    let (_world, cloud) = world();
    let told = cloud.call("QueryOTAJob", &[("JobId", "nothing")]).expect(200).json();
    assert_eq!(told["Success"], false);
    assert_eq!(told["Code"], "iot.firmware.InvalidOTAJobId");
    assert_eq!(told["ErrorMessage"], "there is no such batch");
    let other = cloud.call("QueryOTAJob", &[("JobId", "nothing")]).json();
    assert_eq!(told["RequestId"].as_str().map(str::len), Some(36));
    assert_ne!(told["RequestId"], other["RequestId"]);
    assert_eq!(told.as_object().map(|told| told.len()), Some(4), "{told}");
}

#[test]
fn r178_a_request_that_does_not_get_to_its_operation_is_refused_outside_of_the_envelope() {
    let (_world, cloud) = world();
    let told = cloud.call("MakeTea", &[]).expect(404).json();
    assert_eq!(told["Code"], "InvalidAction.NotFound");
    assert_eq!(told["Message"], "this service has no such action");
    assert_eq!(told["RequestId"].as_str().map(str::len), Some(36));
    assert_eq!(told.as_object().map(|told| told.len()), Some(3), "{told}");

    let told = cloud.call("CreateOTAStaticUpgradeJob", &[("ProductKey", "a1")]).expect(400).json();
    assert_eq!(told["Code"], "MissingFirmwareId");
    assert_eq!(told["Message"], "mandatory for this action: FirmwareId, TargetSelection");

    let mut unsigned = list(&cloud);
    unsigned.retain(|(name, _)| name != "Signature");
    assert_eq!(cloud.send(&unsigned).expect(400).text_of(CODE), "IncompleteSignature");
    let version = cloud.call("ListOTAFirmware", &[("Version", "2017-04-20")]).expect(400);
    assert_eq!(version.text_of(CODE), "InvalidVersion");
    let get = cloud.call("ConfirmOTATask", &[("TaskId.1", "x")]).expect(405);
    assert_eq!(get.text_of(CODE), "UnsupportedHTTPMethod");
}

#[test]
fn r178_answers_are_written_in_xml_for_who_asks_so() {
    let (_world, cloud) = world();
    let answer = cloud.call("QueryOTAJob", &[("JobId", "nothing"), ("Format", "XML")]).expect(200);
    assert_eq!(answer.header("content-type"), "text/xml;charset=utf-8");
    let text = String::from_utf8(answer.body).unwrap_or_default();
    assert!(text.contains("<QueryOTAJobResponse><Code>iot.firmware.InvalidOTAJobId</Code>"), "{text}");
    assert!(text.contains("<Success>false</Success></QueryOTAJobResponse>"), "{text}");
    let answer = cloud.call("MakeTea", &[("Format", "XML")]).expect(404);
    let text = String::from_utf8(answer.body).unwrap_or_default();
    assert!(text.contains("<Error><Code>InvalidAction.NotFound</Code>"), "{text}");
}

#[test]
fn r178_a_store_that_fails_is_told_as_busy_and_the_log_has_no_secret() {
    let (world, cloud) = world();
    let pairs = list(&cloud);
    world.kv().set_faults(|_, _| Some(ota_store::memory::Fault::Refused));
    let told = cloud.send(&pairs).expect(503).json();
    world.kv().clear_faults();
    assert_eq!(told["Code"], "ServiceUnavailable");
    let garbage = ota_store::Kv::set(world.kv(), "catalog/packages", b"garbage");
    world.block_on(garbage).unwrap();
    let told = cloud.send(&list(&cloud)).expect(200).json();
    assert_eq!((&told["Success"], &told["Code"]), (&json!(false), &json!("iot.system.SystemException")));
    let log = world.engine().log_lines().join("\n");
    assert!(log.contains("operation=CloudApi "), "{log}");
    assert!(!log.contains("access-key") && !log.contains("Signature"), "{log}");
}
