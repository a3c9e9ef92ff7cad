//! What settings change about new packages.

use super::*;
use alloc::vec::Vec;

fn fields() -> PackageFields<'static> {
    PackageFields {
        product_key: Some("a1lamp"),
        name: Some("lamp-1_1"),
        target_version: Some("1.1"),
        ..PackageFields::default()
    }
}

#[test]
fn r32_the_older_limits_have_other_names_suffixes_and_sizes() {
    let legacy = PackageLimits::Legacy;
    fn named(name: &str) -> Result<NewPackage, Faults> {
        let limits = PackageLimits::Legacy;
        NewPackage::check(&PackageFields { name: Some(name), limits, ..fields() })
    }
    for (name, good) in [
        ("灯泡固件", true),
        ("_1.1", false),
        ("_1_1", true),
        ("abc", false),
        (&*"a".repeat(32), true),
        (&*"a".repeat(33), false),
        ("ファームウェア", false),
        ("lamp-1", false),
        ("lamp(1)", false),
    ] {
        assert_eq!(named(name).is_ok(), good, "{name}");
    }
    for (name, good) in
        [("a.bin", true), ("a.tar.gz", true), ("a.zip", true), ("a.gzip", false), ("a.BIN", false)]
    {
        assert_eq!(check_file_name(name, legacy).is_ok(), good, "{name}");
    }
    let package = named("lamp").unwrap();
    let file = Digests { md5: [1; 16], sha256: [2; 32] };
    for (size, good) in [(10_485_760, true), (10_485_761, false)] {
        assert_eq!(package.check_file("", None, None, &file, size).is_ok(), good, "{size}");
    }
    assert_eq!((legacy.packages_max(), PackageLimits::Current.packages_max()), (100, 500));
}

#[test]
fn r38_a_delta_must_be_one_that_the_products_devices_can_apply() {
    let delta = PackageFields { kind: Some("delta"), source_version: Some("1.0"), ..fields() };
    let with_md5 = PackageFields { digest_algorithm: Some("MD5"), ..delta.clone() };
    let codes = |fields: &PackageFields<'_>, settings: ProductSettings| {
        let checked = NewPackage::check(fields).unwrap().check_delta(&settings);
        checked.map_or_else(|faults| faults.0.iter().map(|f| f.code).collect(), |()| Vec::new())
    };
    let plain = ProductSettings::default();
    let incapable = ProductSettings { delta_capable: false, ..plain };
    let android = ProductSettings { md5_deltas: true, ..plain };
    for settings in [plain, incapable, android] {
        assert!(codes(&fields(), settings).is_empty(), "a full package is no delta");
    }
    assert!(codes(&delta, plain).is_empty());
    assert_eq!(codes(&delta, incapable), ["package.delta-not-supported"]);
    assert_eq!(codes(&delta, android), ["package.delta-needs-md5"]);
    assert!(codes(&with_md5, android).is_empty());
    let both = ProductSettings { delta_capable: false, ..android };
    assert_eq!(codes(&delta, both), ["package.delta-not-supported", "package.delta-needs-md5"]);
}
