use alloc::format;
use alloc::string::ToString;

use super::*;

const SECRET: &str = "secret";

/// The published example: client id `12345`, timestamp `789`, secret `secret`.
const VECTORS: [(SignMethod, &str); 3] = [
    (SignMethod::HmacMd5, "14B198324FE55E1D3C88F2E705E201EE"),
    (SignMethod::HmacSha1, "FAFD82A3D602B37FB0FA8B7892F24A477F851A14"),
    (SignMethod::HmacSha256, "6074A46A91B1EBB2CC4EA42790AD0E80202C9843859FC292E57C4EB19FAD9E57"),
];

fn device(product_key: &str, device_name: &str) -> DeviceRef {
    DeviceRef {
        product_key: ProductKey::new(product_key).unwrap(),
        device_name: DeviceName::new(device_name).unwrap(),
    }
}

fn may_log_in(client_id: &str, username: &str, password: &str) -> bool {
    let (_, login) = identify(&LoginRequest { client_id, username, password }).unwrap();
    login.verify(SECRET)
}

fn code(client_id: &str, username: &str) -> &'static str {
    identify(&LoginRequest { client_id, username, password: "00" }).unwrap_err().code()
}

#[test]
fn r166_the_published_vectors_log_in() {
    for (method, password) in VECTORS {
        let client_id = format!("12345|securemode=3,signmethod={},timestamp=789|", method.as_str());
        assert!(may_log_in(&client_id, "device&pk", password), "{method:?}");
        assert!(may_log_in(&client_id, "device&pk", &password.to_lowercase()), "{method:?} in lower case");
        assert_eq!(super::password("12345", &device("pk", "device"), Some("789"), method, SECRET), password);
    }
}

#[test]
fn r166_any_other_secret_password_or_content_is_refused() {
    let (method, password) = VECTORS[1];
    let client_id = format!("12345|signmethod={},timestamp=789|", method.as_str());
    let request = LoginRequest { client_id: &client_id, username: "device&pk", password };
    let (_, login) = identify(&request).unwrap();
    assert!(login.verify(SECRET));
    for wrong in ["", "Secret", "secret "] {
        assert!(!login.verify(wrong), "{wrong:?}");
    }
    for wrong in
        ["", "00", &password[..38], &format!("{password}00"), &password.replace('F', "E"), "no hex", "密码"]
    {
        assert!(!may_log_in(&client_id, "device&pk", wrong), "{wrong}");
    }
    for (client_id, username) in [
        ("12346|signmethod=hmacsha1,timestamp=789|", "device&pk"),
        ("12345|signmethod=hmacsha1,timestamp=788|", "device&pk"),
        ("12345|signmethod=hmacsha1|", "device&pk"),
        ("12345|signmethod=hmacmd5,timestamp=789|", "device&pk"),
        ("12345|signmethod=hmacsha1,timestamp=789|", "device2&pk"),
        ("12345|signmethod=hmacsha1,timestamp=789|", "device&pk2"),
    ] {
        assert!(!may_log_in(client_id, username, password), "{client_id} {username}");
    }
}

#[test]
fn r166_every_shipped_client_logs_in() {
    const C4: &str =
        "timestamp=2524608000000,_ss=1,_v=sdk-c-4.2.0,securemode=3,signmethod=hmacsha256,ext=3,_conn=tcp_1";
    const IOTKIT: &str =
        "timestamp=2524608000000,_v=sdk-c-3.2.0,securemode=3,signmethod=hmacsha256,lan=C,gw=0,ext=0";
    const PYTHON: &str =
        "securemode=3,signmethod=hmacsha1,ext=1,_ss=1,lan=Python,_v=1.2.13,timestamp=1795355887";
    const NPM: &str = "securemode=3,signmethod=hmacsha1,timestamp=1795355887123,lan=NodeJS,_v=1.2.8";
    const AIOT: &str =
        "timestamp=2524608000000,_ss=1,_v=sdk-rust-0.10.0,securemode=2,signmethod=hmacsha256,ext=3,";
    const ARDUINO: &str = "securemode=3,signmethod=hmacsha256,timestamp=12345";
    let device = device("a1B2c3", "lamp-1");
    for (client, x, parameters, method, timestamp, is_upper) in [
        ("C 4.x", "a1B2c3.lamp-1", C4, SignMethod::HmacSha256, Some("2524608000000"), true),
        ("iotkit", "a1B2c3.lamp-1", IOTKIT, SignMethod::HmacSha256, Some("2524608000000"), false),
        ("Python", "a1B2c3&lamp-1", PYTHON, SignMethod::HmacSha1, Some("1795355887"), false),
        ("npm", "a1B2c3&lamp-1", NPM, SignMethod::HmacSha1, Some("1795355887123"), false),
        ("aiot", "a1B2c3.lamp-1", AIOT, SignMethod::HmacSha256, Some("2524608000000"), true),
        ("Arduino", "lamp-1", ARDUINO, SignMethod::HmacSha256, Some("12345"), false),
        ("no timestamp", "x", "securemode=3,signmethod=hmacsha1", SignMethod::HmacSha1, None, false),
        ("nothing said", "x", "", SignMethod::HmacMd5, None, false),
        ("odd pairs", "x", ",,=,a=b=c,gw,signmethod=HMACSHA1", SignMethod::HmacSha1, None, false),
    ] {
        let mut password = password(x, &device, timestamp, method, SECRET);
        if !is_upper {
            password = password.to_lowercase();
        }
        for client_id in [format!("{x}|{parameters}|"), format!("{x}|{parameters}")] {
            let request =
                LoginRequest { client_id: &client_id, username: "lamp-1&a1B2c3", password: &password };
            let (found, login) = identify(&request).unwrap();
            assert_eq!(found, device, "{client}");
            assert!(login.verify(SECRET), "{client}: {client_id}");
        }
    }
}

#[test]
fn a_client_id_without_bars_means_the_defaults() {
    let password = password("12345", &device("pk", "device"), None, SignMethod::HmacMd5, SECRET);
    assert!(may_log_in("12345", "device&pk", &password));
}

#[test]
fn a_login_that_names_no_device_is_refused() {
    for username in ["", "device", "device&", "&pk", "abc&pk", "device&p-k", "device&pk&x", "de vice&pk"] {
        assert_eq!(code("12345|signmethod=hmacsha1|", username), "auth.username", "{username}");
    }
}

#[test]
fn the_signed_part_of_a_client_id_has_1_to_64_characters() {
    assert_eq!(code("|signmethod=hmacsha1|", "device&pk"), "auth.client-id");
    assert_eq!(code(&"x".repeat(65), "device&pk"), "auth.client-id");
    let longest = "x".repeat(64);
    let request = LoginRequest { client_id: &longest, username: "device&pk", password: "" };
    assert!(identify(&request).is_ok());
}

#[test]
fn an_unknown_sign_method_is_refused() {
    for method in ["sha1", "hmacsha512", ""] {
        assert_eq!(code(&format!("12345|signmethod={method}|"), "device&pk"), "auth.sign-method", "{method}");
    }
}

#[test]
fn the_proof_does_not_show_in_debug_output() {
    let request = LoginRequest { client_id: "12345", username: "device&pk", password: "abcdef" };
    let text = format!("{:?}", identify(&request).unwrap().1);
    assert_eq!(text, "SignedLogin { method: HmacMd5, .. }");
    assert!(!text.to_string().contains("abcdef"));
}
