//! What is believed, and of everything else the code by which it is refused.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ed25519_compact::{KeyPair, Seed};
use proptest::prelude::*;

use super::sections::custom;
use super::*;
use crate::error::Kind;

/// Made by minisign 0.11: `minisign -GW` and, over [`component`] of version 1.2.3, `minisign -S` and `minisign -Sl`.
const KEY: &str = "RWTdqrTPbSZaJj3PrX5RKeyzzcoIiwelL0vP8Ks6WKViDoA3FgtbCiOk";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUTdqrTPbSZaJkelySbtawoxu0GL7le4S3NzKYP5qkJUqNAcuw7WD9VN5LSEE9Wwp84LkAEgsKdQEG2YScOjj1Pct8TO+/bVggs=
trusted comment: top 1.2.3
eOAm8gwX3lhE4QYkGkjVUFu2Bv5auIPclOMpmqdgnebYG4wxSyFfB/M8g6PuAreZ5z7/R7aWYT8beism9quxDw==
";
const LEGACY_SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RWTdqrTPbSZaJi6+f+NXKnNWj3ebVoEL390n1vWM3lJomvLauRE1e7HoUQf0rdrpJETQNhEtXjf/UMJhAXObIZYKf/xbmqAmxgE=
trusted comment: top 1.2.3
JGUgqEM4hoEUiXEHBUuaO8uJFl7U3154uGVyowq0TpObf8T8H26GqVf3iykGSt8ubm2hFp+sah91CCTLQGE/Aw==
";

/// An empty component that says its version.
fn component(version: &str) -> Vec<u8> {
    wat::parse_str(format!(r#"(component (@custom "version" "{version}"))"#)).unwrap()
}

/// A key to sign with, as minisign does it.
struct Signer {
    id: [u8; 8],
    pair: KeyPair,
}

impl Signer {
    fn new(seed: u8) -> Self {
        Self { id: [seed; 8], pair: KeyPair::from_seed(Seed::new([seed; 32])) }
    }

    fn public(&self) -> String {
        BASE64_STANDARD.encode([b"Ed", &self.id[..], &self.pair.pk[..]].concat())
    }

    fn text(&self, bytes: &[u8]) -> String {
        let signature = self.pair.sk.sign(blake2b_simd::blake2b(bytes).as_bytes(), None);
        let comment = "a comment";
        let both = self.pair.sk.sign([&signature[..], comment.as_bytes()].concat(), None);
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let first = encode(&[b"ED", &self.id[..], &signature[..]].concat());
        format!("untrusted comment: any\n{first}\ntrusted comment: {comment}\n{}\n", encode(&both[..]))
    }

    fn sign(&self, bytes: Vec<u8>) -> Vec<u8> {
        let text = self.text(&bytes);
        signed(bytes, &text).unwrap()
    }
}

/// A signature by this key and nothing else.
fn by(signer: &Signer) -> Demands {
    Demands { keys: Keys::parse([&*signer.public()]).unwrap(), ..Demands::default() }
}

fn anything() -> Demands {
    Demands { unsigned: true, ..Demands::default() }
}

#[track_caller]
fn refused(bytes: &[u8], demands: &Demands, code: Code, message: &str) {
    let refusal = examine(bytes, demands, None).expect_err("this should be refused");
    assert_eq!((refusal.code, &*refusal.message), (code, message));
}

#[test]
fn what_minisign_signed_is_trusted() {
    let bytes = signed(component("1.2.3"), SIGNATURE).unwrap();
    assert!(bytes.ends_with(SIGNATURE.as_bytes()), "the section is the file");
    let demands = Demands { keys: Keys::parse([KEY]).unwrap(), ..Demands::default() };
    let trusted = examine(&bytes, &demands, None).unwrap();
    assert_eq!(trusted.signer.unwrap().to_string(), "265A266DCFB4AADD", "as minisign shows it");
    assert_eq!(trusted.version, Some(Version::new(1, 2, 3)));
    assert_eq!(trusted.digest, Digest::of(&bytes));

    let comment = SIGNATURE.replace("top 1.2.3", "top 1.2.4");
    let bytes = signed(component("1.2.3"), &comment).unwrap();
    refused(&bytes, &demands, Code::Altered, "it is not what the key 265A266DCFB4AADD signed");
}

#[test]
fn signatures_over_the_bytes_themselves_are_refused() {
    let error = signed(component("1.2.3"), LEGACY_SIGNATURE).unwrap_err();
    assert_eq!(error.message, "the signature is over the bytes and not over their hash");
    let mut bytes = component("1.2.3");
    bytes.extend(custom(signature::NAME, LEGACY_SIGNATURE.as_bytes()));
    let demands = Demands { keys: Keys::parse([KEY]).unwrap(), ..Demands::default() };
    let message = "its signature is over the bytes and not over their hash";
    refused(&bytes, &demands, Code::Signature, message);
}

#[test]
fn other_digests() {
    let (bytes, other) = (component("1.2.3"), Digest::of(b"other"));
    let digest = Digest::of(&bytes);
    let pinned = |digests: &[Digest]| Demands { digests: digests.to_vec(), ..anything() };
    assert_eq!(examine(&bytes, &pinned(&[other, digest]), None).unwrap().digest, digest);
    let message = format!("it is {digest}, and has to be {other} or {other}");
    refused(&bytes, &pinned(&[other, other]), Code::Digest, &message);
    // That it is the file that was meant does not make it a signed one.
    let both = Demands { digests: vec![digest], ..Demands::default() };
    refused(&bytes, &both, Code::Unsigned, "it has no signature");
}

#[test]
fn who_may_have_signed() {
    let (ours, theirs) = (Signer::new(1), Signer::new(2));
    let bytes = component("1.2.3");
    refused(&bytes, &by(&ours), Code::Unsigned, "it has no signature");
    assert_eq!(examine(&bytes, &anything(), None).unwrap().signer, None);

    let bytes = theirs.sign(bytes);
    let message = "it is signed by the key 0202020202020202, which is not trusted";
    refused(&bytes, &by(&ours), Code::UnknownKey, message);
    refused(&bytes, &Demands::default(), Code::UnknownKey, message);
    assert_eq!(examine(&bytes, &anything(), None).unwrap().signer, None);

    let keys = Keys::parse([&*ours.public(), &*theirs.public()]).unwrap();
    for unsigned in [false, true] {
        let demands = Demands { keys: keys.clone(), unsigned, ..Demands::default() };
        let signer = examine(&bytes, &demands, None).unwrap().signer.unwrap();
        assert_eq!(signer.to_string(), "0202020202020202");
    }

    // A key that takes another's name.
    let liar = Signer { id: ours.id, ..theirs };
    let bytes = liar.sign(component("1.2.3"));
    let message = "it is not what the key 0101010101010101 signed";
    refused(&bytes, &by(&ours), Code::Altered, message);
    refused(&bytes, &Demands { unsigned: true, ..by(&ours) }, Code::Altered, message);
    let both = Keys::parse([&*ours.public(), &*liar.public()]).unwrap();
    assert!(examine(&bytes, &Demands { keys: both, ..Demands::default() }, None).is_ok());
}

#[test]
fn older_ones() {
    let demands = Demands { no_older: true, ..anything() };
    let examine = |version: &str, installed: Option<&str>| {
        let installed = installed.map(|installed| Version::parse(installed).unwrap());
        examine(&component(version), &demands, installed.as_ref())
            .map(|trusted| trusted.version.unwrap().to_string())
            .map_err(|refusal| refusal.to_string())
    };
    let newer = [("1.2.3", None), ("1.2.3", Some("1.2.3")), ("1.10.0", Some("1.9.0"))];
    for (version, installed) in newer.into_iter().chain([("1.0.0+a", Some("1.0.0+b"))]) {
        assert_eq!(examine(version, installed), Ok(version.to_owned()));
    }
    let older = [("1.9.0", "1.10.0"), ("1.0.0-rc.1", "1.0.0")];
    for (version, installed) in older {
        let message = format!("older: it is version {version}, and {installed} is installed");
        assert_eq!(examine(version, Some(installed)), Err(message));
    }
    let long = format!("1.2.3+{}", "a".repeat(300));
    for unreadable in ["", "1.2", "v1.2.3", "1.2.3\\n", "1.2.\\ff", &long] {
        let message = "older: it does not say its version, so nobody can tell whether it is older";
        assert_eq!(examine(unreadable, None), Err(message.to_owned()), "{unreadable}");
        let trusted = super::examine(&component(unreadable), &anything(), None).unwrap();
        assert_eq!(trusted.version, None);
    }
    // Where nobody asks.
    let installed = Version::new(2, 0, 0);
    assert!(super::examine(&component("1.0.0"), &anything(), Some(&installed)).is_ok());
}

#[test]
fn versions_are_the_components_own_and_only_one() {
    let nested =
        r#"(component (component (@custom "version" "9.0.0")) (core module (@custom "version" "9.0.0")))"#;
    let trusted = examine(&wat::parse_str(nested).unwrap(), &anything(), None).unwrap();
    assert_eq!(trusted.version, None);
    let twice = r#"(component (@custom "version" "1.0.0") (@custom "version" "2.0.0"))"#;
    let message = "it says its version twice";
    refused(&wat::parse_str(twice).unwrap(), &anything(), Code::Malformed, message);
}

#[test]
fn a_signature_is_the_last_section_and_the_only_one() {
    let signer = Signer::new(1);
    let whole = signer.sign(component("1.2.3"));
    let message = format!("the signature at byte {} is not its last section", component("1.2.3").len());
    let mut followed = whole.clone();
    followed.extend(custom(b"name", b""));
    refused(&followed, &by(&signer), Code::Signature, &message);
    let mut twice = whole.clone();
    twice.extend(custom(signature::NAME, signer.text(&whole).as_bytes()));
    refused(&twice, &by(&signer), Code::Signature, &message);
    let error = signed(whole.clone(), &signer.text(&whole)).unwrap_err();
    assert_eq!((error.kind, &*error.message), (Kind::Data, "it is signed already"));
    // Of what is inside nobody asks: it is signed as bytes.
    let mut inside = b"\0asm\x0d\0\x01\0".to_vec();
    inside.extend([4, whole.len() as u8 | 0x80, (whole.len() >> 7) as u8]);
    inside.extend(&whole);
    refused(&inside, &by(&signer), Code::Unsigned, "it has no signature");
    assert!(examine(&signer.sign(inside), &by(&signer), None).is_ok());
}

#[test]
fn a_signature_has_one_way_to_be_written() {
    let signer = Signer::new(1);
    let bytes = component("1.2.3");
    let whole = signer.sign(bytes.clone());
    assert!(examine(&whole, &by(&signer), None).is_ok());
    let at = whole.windows(9).position(|window| window == b"untrusted").unwrap();
    let text = str::from_utf8(&whole[at..]).unwrap();
    let write = |text: &str| [&*bytes, &custom(signature::NAME, text.as_bytes())].concat();
    assert!(examine(&write(text), &by(&signer), None).is_ok());
    let written = "its signature is not written as it has to be";
    let not_minisign = "its signature is not the text of a minisign file";
    for (other, message) in [
        (text.replace("untrusted comment: s", "untrusted comment: S"), written),
        (text.replace('\n', "\r\n"), written),
        (text.trim_end().to_owned(), written),
        (text.replace("trusted comment: a", "trusted: a"), not_minisign),
        (format!("{text}more"), not_minisign),
        (text.replace("RU", "=U"), not_minisign),
        (String::new(), not_minisign),
        ("\n".repeat(20_000), "its signature is too long"),
    ] {
        refused(&write(&other), &by(&signer), Code::Signature, message);
        refused(&write(&other), &anything(), Code::Signature, message);
    }
    // The same lengths, in more bytes than they need.
    let section = &whole[bytes.len()..];
    let padded = [&*bytes, &[0, section[1], section[2] | 0x80, 0], &section[3..]].concat();
    refused(&padded, &by(&signer), Code::Signature, written);
    // What another system's minisign, or a comment of one's own, makes of the file is put right.
    let signed = signed(bytes, &text.replace('\n', "\r\n").replace("secret key", "me")).unwrap();
    assert_eq!(signed, whole);
}

/// Every bit of the file, its signature's section included.
#[test]
fn no_bit_can_be_changed() {
    let signer = Signer::new(1);
    let (mut bytes, demands) = (signer.sign(component("1.2.3")), by(&signer));
    assert!(examine(&bytes, &demands, None).is_ok());
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(examine(&bytes, &demands, None).is_err(), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn no_byte_can_be_cut_off_or_added() {
    let signer = Signer::new(1);
    let (mut bytes, demands) = (signer.sign(component("1.2.3")), by(&signer));
    let unsigned = component("1.2.3").len();
    for length in 0..bytes.len() {
        let refusal = examine(&bytes[..length], &demands, None).unwrap_err();
        // Between sections there is nothing to see of what was there.
        let expected = if length == unsigned || length == 8 { Code::Unsigned } else { Code::Malformed };
        assert_eq!(refusal.code, expected, "{length} bytes");
    }
    bytes.push(0);
    let message = format!("the signature at byte {unsigned} is not its last section");
    refused(&bytes, &demands, Code::Signature, &message);
    let mut bytes = component("1.2.3");
    bytes.push(0);
    refused(&bytes, &anything(), Code::Malformed, &format!("its section at byte {unsigned} is not whole"));
}

#[test]
fn what_has_no_sections_is_refused() {
    let begin = |rest: &[u8]| [b"\0asm\x0d\0\x01\0", rest].concat();
    for other in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01", b"#!/bin/sh\nexit"] {
        refused(other, &anything(), Code::Malformed, "it is not WebAssembly");
    }
    assert!(examine(&begin(b""), &anything(), None).is_ok());
    let not_whole = "its section at byte 8 is not whole";
    for rest in [
        &[1][..],
        &[1, 0x80],
        &[1, 1],
        &[1, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // A length of more than 32 bits, which as one of 32 would be 0.
        &[1, 0x80, 0x80, 0x80, 0x80, 0x10],
        &[1, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        // Custom sections without a name, and with one that is longer than they are.
        &[0, 0],
        &[0, 1, 1, b'a'],
    ] {
        refused(&begin(rest), &anything(), Code::Malformed, not_whole);
    }
    assert!(examine(&begin(&[1, 0x80, 0x80, 0x80, 0x80, 0]), &anything(), None).is_ok(), "0 in five bytes");
    assert!(examine(&begin(&[1, 0].repeat(1 << 16)), &anything(), None).is_ok());
    let message = "it has more than 65536 sections";
    refused(&begin(&[1, 0].repeat((1 << 16) + 1)), &anything(), Code::Malformed, message);
}

#[test]
fn a_signed_component_is_a_component() {
    let engine = wasmtime::Engine::default();
    let bytes = Signer::new(1).sign(component("1.2.3"));
    wasmtime::component::Component::from_binary(&engine, &bytes).unwrap();
}

#[test]
fn digests_as_texts() {
    let digest = Digest::of(b"abc");
    let text = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(digest.to_string(), text, "as FIPS 180 has it");
    assert_eq!(text.parse(), Ok(digest));
    assert_eq!(text.to_uppercase().replace("SHA", "sha").parse(), Ok(digest));
    let wrong = |text: &str| text.parse::<Digest>().unwrap_err();
    assert_eq!(wrong(&text[7..]), "it does not begin with `sha256:`");
    assert_eq!(wrong(&text[..70]), "it has 63 digits, and SHA-256 has 64");
    assert_eq!(wrong(&text.replace('7', "g")), "`g` is no hexadecimal digit");
    assert_eq!(wrong(&text.replace('7', "é")), "`é` is no hexadecimal digit");
}

#[test]
fn keys_that_are_wrong() {
    for wrong in ["", "x", "RWTdqrTPbSZaJj3P", &KEY.replace("RW", "AA"), SIGNATURE.lines().nth(1).unwrap()] {
        let error = Keys::parse([KEY, wrong]).unwrap_err();
        assert_eq!(error.kind, Kind::Config);
        assert_eq!(error.message, format!("`{wrong}` is not a public key of minisign"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    /// Neither panics nor believes.
    #[test]
    fn no_bytes_are_trusted(bytes in prop::collection::vec(any::<u8>(), 0..200), begins in any::<bool>()) {
        let bytes = if begins { [b"\0asm\x0d\0\x01\0", &*bytes].concat() } else { bytes };
        let signer = Signer::new(1);
        prop_assert!(examine(&bytes, &by(&signer), None).is_err());
        drop(examine(&bytes, &Demands { no_older: true, ..anything() }, None));
        drop(signed(bytes, SIGNATURE));
    }

    #[test]
    fn no_text_panics(text in "(untrusted comment: ?)?[ -~\n=é]{0,80}(\n(trusted comment: )?)?[A-Z=é\n]{0,80}") {
        drop(signed(component("1.2.3"), &text));
        drop(Keys::parse([&*text]));
        drop(text.parse::<Digest>());
    }

    /// Bytes put over, left out and put in, anywhere.
    #[test]
    fn no_damage_is_trusted(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3), 1..3),
    ) {
        let signer = Signer::new(1);
        let whole = signer.sign(component("1.2.3"));
        let mut bytes = whole.clone();
        for (at, byte, how) in damage {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        prop_assume!(bytes != whole);
        prop_assert!(examine(&bytes, &by(&signer), None).is_err());
    }

    #[test]
    fn what_is_signed_is_trusted(
        sections in prop::collection::vec((1u8..13, prop::collection::vec(any::<u8>(), 0..300)), 0..8),
    ) {
        let mut bytes = component("1.2.3");
        for (kind, content) in sections {
            bytes.extend([kind, content.len() as u8 | 0x80, (content.len() >> 7) as u8]);
            bytes.extend(content);
        }
        let signer = Signer::new(1);
        let trusted = examine(&signer.sign(bytes), &by(&signer), None);
        prop_assert_eq!(trusted.map(|trusted| trusted.version), Ok(Some(Version::new(1, 2, 3))));
    }
}
