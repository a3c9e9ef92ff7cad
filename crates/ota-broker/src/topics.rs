//! Which topics are a device's own.
//!
//! A device may publish to, and subscribe to, exactly the topics that carry its own product key and device name in
//! the two segments where the protocol puts them. A filter with wildcards passes only if everything it can ever
//! match passes too, so the two identity segments must be spelled out. What is absent here is as important: no
//! topic under `/overair`, no `$SYS`, and no shared subscription belongs to a device.

use crate::DeviceIdentity;

/// What a device may do below `/ota/device`.
const OTA_VERBS: [&str; 4] = ["inform", "upgrade", "progress", "request"];

/// First segments with a layout of their own. A product that happens to be called `ota` gets no say over
/// `/ota/device/...` through the layout `/{product}/{device}/...`.
const RESERVED_ROOTS: [&str; 5] = ["ota", "sys", "ext", "shadow", "overair"];

/// How many topics a device is subscribed to by the broker.
pub(crate) const DOWNLINK_TOPICS: usize = 3;

/// What is sent to a device without it asking: most SDKs rely on being subscribed to these by the broker.
pub(crate) fn downlink_topics(device: &DeviceIdentity) -> [String; DOWNLINK_TOPICS] {
    let DeviceIdentity { product_key: pk, device_name: dn } = device;
    [
        format!("/ota/device/upgrade/{pk}/{dn}"),
        format!("/sys/{pk}/{dn}/thing/ota/firmware/get_reply"),
        format!("/sys/{pk}/{dn}/thing/file/download_reply"),
    ]
}

/// What a gateway asks on behalf of its sub-devices. It hears `{verb}_reply` of each.
const GATEWAY_VERBS: [&str; 4] = ["login", "logout", "batch_login", "batch_logout"];

/// Tells whether a device speaks as a gateway by publishing on this topic of its own.
pub(crate) fn is_for_gateways(topic: &str) -> bool {
    topic.starts_with("/ext/session/")
}

/// What a gateway is answered on. Only a device that speaks as one is subscribed to these, since hardly any does.
pub(crate) fn reply_topics(gateway: &DeviceIdentity) -> [String; GATEWAY_VERBS.len()] {
    let DeviceIdentity { product_key: pk, device_name: dn } = gateway;
    GATEWAY_VERBS.map(|verb| format!("/ext/session/{pk}/{dn}/combine/{verb}_reply"))
}

/// Tells whether `filter` is made of the device's own topics only.
///
/// `filter` is a topic or a topic filter. These are a device's own, with `{pk}/{dn}` its identity and `{word}` one
/// segment, which may be `+`:
///
/// - `/ota/device/{inform|upgrade|progress|request|+}/{pk}/{dn}`
/// - `/sys/{pk}/{dn}/...`
/// - `/ext/{word}/{pk}/{dn}` and below
/// - `/shadow/{word}/{pk}/{dn}`
/// - `/{pk}/{dn}/...`
///
/// `/ext` takes one word before the identity, as all documented topics there do: were any number of words allowed,
/// `/ext/session/{other pk}/{other dn}/{pk}/{dn}` would pass while its reader takes it for the other device's.
pub fn topic_belongs_to(identity: &DeviceIdentity, filter: &str) -> bool {
    owner(filter).as_ref() == Some(identity)
}

/// The only device whose own topics a filter is made of, if there is one; see [`topic_belongs_to`].
pub(crate) fn owner(filter: &str) -> Option<DeviceIdentity> {
    if !is_valid_filter(filter) {
        return None;
    }
    let segments: Vec<&str> = filter.strip_prefix('/')?.split('/').collect();
    let (product_key, device_name) = match segments.as_slice() {
        ["ota", "device", verb, pk, dn, rest @ ..]
            if (OTA_VERBS.contains(verb) || *verb == "+") && is_nothing_below(rest) =>
        {
            (pk, dn)
        }
        ["sys", pk, dn, _, ..] => (pk, dn),
        ["ext", word, pk, dn, ..] if is_word(word) => (pk, dn),
        ["shadow", word, pk, dn, rest @ ..] if is_word(word) && is_nothing_below(rest) => (pk, dn),
        [pk, dn, _, ..] if !RESERVED_ROOTS.contains(pk) => (pk, dn),
        _ => return None,
    };
    let identity =
        DeviceIdentity { product_key: (*product_key).to_owned(), device_name: (*device_name).to_owned() };
    is_valid_identity(&identity).then_some(identity)
}

/// Tells whether an identity can be a pair of topic segments.
///
/// The gate vouches for an identity, but one with a `/` or a wildcard in it would turn [`topic_belongs_to`] into a
/// way around itself.
pub(crate) fn is_valid_identity(identity: &DeviceIdentity) -> bool {
    [&identity.product_key, &identity.device_name]
        .iter()
        .all(|part| !part.is_empty() && !part.contains(['/', '+', '#', '\0']))
}

/// Tells whether wildcards stand only where MQTT allows them: `+` alone in its segment, `#` alone in the last one.
pub(crate) fn is_valid_filter(filter: &str) -> bool {
    if filter.is_empty() || filter.contains('\0') {
        return false;
    }
    let mut segments = filter.split('/').peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "#" => {
                if segments.peek().is_some() {
                    return false;
                }
            }
            "+" => {}
            other => {
                if other.contains(['+', '#']) {
                    return false;
                }
            }
        }
    }
    true
}

/// Tells whether a topic filter has a wildcard in it. A topic that is published to must not.
pub(crate) fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

/// Tells whether a filter matches a topic.
///
/// A wildcard in the first segment does not match a topic that starts with `$`, and `a/#` matches `a` as well.
pub(crate) fn filter_matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut wanted = filter.split('/');
    let mut given = topic.split('/');
    loop {
        match (wanted.next(), given.next()) {
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(given)) if wanted == given => {}
            _ => return false,
        }
    }
}

/// A word is a segment that is not the wildcard that swallows the identity after it.
fn is_word(segment: &str) -> bool {
    segment != "#"
}

/// A filter may end in `/#` where nothing lies below: it matches the topic itself.
fn is_nothing_below(rest: &[&str]) -> bool {
    rest.is_empty() || rest == ["#"]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(product_key: &str, device_name: &str) -> DeviceIdentity {
        DeviceIdentity { product_key: product_key.to_owned(), device_name: device_name.to_owned() }
    }

    #[test]
    fn a_devices_own_topics_belong_to_it() {
        for name in ["d1", "a-b_c@d.e:f", "ota", "$d"] {
            for topic in [
                "/ota/device/inform/pk/DN",
                "/ota/device/upgrade/pk/DN",
                "/ota/device/progress/pk/DN",
                "/ota/device/request/pk/DN",
                "/ota/device/+/pk/DN",
                "/ota/device/upgrade/pk/DN/#",
                "/sys/pk/DN/thing/ota/firmware/get",
                "/sys/pk/DN/thing/ota/firmware/get_reply",
                "/sys/pk/DN/thing/file/download_reply",
                "/sys/pk/DN/#",
                "/sys/pk/DN/thing/+/+/get_reply",
                "/sys/pk/DN/",
                "/ext/session/pk/DN/combine/login_reply",
                "/ext/error/pk/DN",
                "/ext/+/pk/DN/#",
                "/shadow/get/pk/DN",
                "/shadow/update/pk/DN",
                "/shadow/+/pk/DN",
                "/pk/DN/user/get",
                "/pk/DN/#",
                "/pk/DN/+",
            ] {
                let topic = topic.replace("DN", name);
                assert!(topic_belongs_to(&device("pk", name), &topic), "{topic}");
            }
        }
    }

    #[test]
    fn what_is_not_spelled_out_as_its_own_does_not_belong_to_a_device() {
        let own = device("pk", "d1");
        for topic in [
            // Another device, another product, and names that merely begin alike.
            "/ota/device/inform/pk/d2",
            "/ota/device/inform/pk2/d1",
            "/ota/device/inform/pk/d11",
            "/ota/device/inform/d1/pk",
            "/sys/pk/d2/thing/ota/firmware/get",
            "/pk/d2/user/get",
            "/shadow/get/pk/d2",
            "/ext/session/pk/d2/pk/d1",
            "/ext/a/b/pk/d1/x",
            // The identity is not where the layout has it.
            "/ota/device/explode/pk/d1",
            "/ota/device/inform/pk/d1/more",
            "/ota/inform/pk/d1",
            "/ota/pk/d1/x",
            "/shadow/get/pk/d1/more",
            "/sys/pk/d1",
            "/pk/d1",
            "/x/pk/d1",
            // Wildcards that reach further than the device.
            "#",
            "+/#",
            "/#",
            "/+/+/#",
            "/+/pk/d1/#",
            "/+/d1/x",
            "/pk/+/x",
            "/sys/#",
            "/sys/pk/#",
            "/sys/pk/+/thing/ota/firmware/get_reply",
            "/sys/+/d1/#",
            "/ota/#",
            "/ota/device/upgrade/#",
            "/ota/device/upgrade/pk/#",
            "/ota/device/upgrade/pk/+",
            "/ota/device/upgrade/+/d1",
            "/ota/device/#",
            "/ext/#",
            "/ext/session/pk/#",
            // Not filters at all.
            "",
            "/",
            "/sys/pk/d1/#/x",
            "/sys/pk/d1/a#",
            "/sys/pk/d1/a+",
            "/sys/pk/d1/\0",
            // Without the leading slash these are other topics.
            "sys/pk/d1/x",
            "ota/device/inform/pk/d1",
            "pk/d1/user",
            // The service's, the broker's, and a share of anything.
            "/overair/presence/pk/d1",
            "/overair/pk/d1",
            "$SYS/brokers",
            "$SYS/pk/d1/x",
            "$share/g//sys/pk/d1/#",
            "$share/g/sys/pk/d1/x",
            "$queue//sys/pk/d1/x",
        ] {
            assert!(!topic_belongs_to(&own, topic), "{topic}");
        }
    }

    #[test]
    fn a_product_named_like_a_reserved_root_gains_nothing() {
        assert!(!topic_belongs_to(&device("ota", "device"), "/ota/device/inform/pk/d1"));
        assert!(!topic_belongs_to(&device("sys", "pk"), "/sys/pk/d1/thing/event"));
        assert!(!topic_belongs_to(&device("overair", "presence"), "/overair/presence/pk/d1"));
        assert!(topic_belongs_to(&device("ota", "device"), "/sys/ota/device/thing/event"));
    }

    #[test]
    fn an_identity_that_is_no_pair_of_segments_owns_nothing() {
        for (pk, dn) in [("", "d1"), ("pk", ""), ("pk", "+"), ("pk", "#"), ("pk/x", "d1"), ("+", "+")] {
            let filter = format!("/sys/{pk}/{dn}/x");
            assert!(!topic_belongs_to(&device(pk, dn), &filter), "{filter}");
        }
    }

    #[test]
    fn filters_match_as_the_protocol_says() {
        for (filter, topic, expected) in [
            ("/a/b", "/a/b", true),
            ("/a/b", "/a/b/", false),
            ("/a/+", "/a/b", true),
            ("/a/+", "/a/", true),
            ("/a/+", "/a", false),
            ("/a/#", "/a", true),
            ("/a/#", "/a/b/c", true),
            ("/a/#", "/ab", false),
            ("#", "/a", true),
            ("+/a", "/a", true),
            ("+", "/a", false),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
        ] {
            assert_eq!(filter_matches(filter, topic), expected, "{filter} {topic}");
        }
    }
}
