//! Signed notes (C2SP signed-note v1.0.0, Ed25519 signatures of type 0x01) and checkpoints (C2SP
//! tlog-checkpoint v1.0.0): the signed statement of a log's size and root.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::hex;
use crate::tree::{HASH_BYTES, Hash};

/// Signature type Ed25519 over the note's text.
const ED25519: u8 = 0x01;

/// A note with more is refused before any signature is checked.
const SIGNATURES_MAX: usize = 100;

/// A checkpoint is some 200 bytes; signatures of others may be some thousand bytes each.
pub const NOTE_BYTES_MAX: usize = 1 << 20;

const ORIGIN_BYTES_MAX: usize = 255;

/// A note or key is not of the form, or no signature of the expected key verifies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The bytes are not a signed note.
    #[error("not a signed note: {0}")]
    Note(&'static str),
    /// The text is not a key.
    #[error("not a note key: {0}")]
    Key(&'static str),
    /// The note has no signature of this key.
    #[error("no signature by {name}")]
    Unsigned {
        /// The key's name.
        name: String,
    },
    /// A signature claims to be of this key and is not.
    #[error("the signature by {name} does not verify")]
    Signature {
        /// The key's name.
        name: String,
    },
    /// The note's text is not a checkpoint.
    #[error("not a checkpoint: {0}")]
    Checkpoint(&'static str),
    /// The checkpoint is of another log.
    #[error("checkpoint of {found:?}, expected {expected:?}")]
    Origin {
        /// The origin that it names.
        found: String,
        /// The key's name, which is the log's origin.
        expected: String,
    },
}

/// Whether a text can name a key and be a log's origin: printable ASCII without space, quotes, backslash and
/// plus.
pub fn is_origin(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"+\"\\".contains(&byte);
    !name.is_empty() && name.len() <= ORIGIN_BYTES_MAX && name.bytes().all(allowed)
}

fn key_id(name: &str, public: &[u8; 32]) -> [u8; 4] {
    let digest =
        Sha256::new().chain_update(name).chain_update([b'\n', ED25519]).chain_update(public).finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// The public half of a note key. Prints and parses as a vkey: `<name>+<id>+<base64 of type and key>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: VerifyingKey,
}

impl NoteVerifier {
    /// Reads a vkey; the id must be the key's.
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        let (name, id, key) = split_key(vkey)?;
        let key: [u8; 32] = key.as_slice().try_into().map_err(|_| NoteError::Key("wrong length"))?;
        let public =
            VerifyingKey::from_bytes(&key).map_err(|_| NoteError::Key("not a point of the curve"))?;
        if id != key_id(name, &key) {
            return Err(NoteError::Key("the id is not this key's"));
        }
        Ok(Self { name: name.to_owned(), key: public })
    }

    /// The key's name: the log's origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id that signature lines carry.
    pub fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.key.as_bytes())
    }

    /// The note's text when a signature of this key on it verifies. Lines of other keys and types are
    /// ignored, as the format asks.
    pub fn open<'a>(&self, note: &'a [u8]) -> Result<&'a str, NoteError> {
        let (text, lines) = split_note(note)?;
        let mut is_signed = false;
        // Every line is read, also behind the one that counts: a note with a malformed line is no note.
        for line in lines {
            let (name, signature) = parse_signature(line)?;
            let Some((id, signature)) = signature.split_first_chunk::<4>() else {
                return Err(NoteError::Note("a signature without a key id"));
            };
            if is_signed || name != self.name || *id != self.id() {
                continue;
            }
            let wrong = || NoteError::Signature { name: self.name.clone() };
            let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| wrong())?;
            self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| wrong())?;
            is_signed = true;
        }
        if is_signed { Ok(text) } else { Err(NoteError::Unsigned { name: self.name.clone() }) }
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode([&[ED25519], self.key.as_bytes().as_slice()].concat());
        write!(f, "{}+{}+{key}", self.name, hex::Hex(&self.id()))
    }
}

/// The private half. Never printed by `Debug`; [`NoteSigner::to_skey`] is the only way out.
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.name)
    }
}

impl NoteSigner {
    /// A key from 32 random bytes that the caller drew.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        if !is_origin(name) {
            return Err(NoteError::Key("the name has a character that notes do not allow"));
        }
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64 of type and seed>`.
    pub fn parse(skey: &str) -> Result<Self, NoteError> {
        let rest = skey.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key("not a private key"))?;
        let (name, id, seed) = split_key(rest)?;
        let seed: Zeroizing<[u8; 32]> =
            Zeroizing::new(seed.as_slice().try_into().map_err(|_| NoteError::Key("wrong length"))?);
        let signer = Self::from_seed(name, &seed)?;
        if id != signer.verifier().id() {
            return Err(NoteError::Key("the id is not this key's"));
        }
        Ok(signer)
    }

    /// The private key as text; whoever has it can sign for the log.
    pub fn to_skey(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new(vec![ED25519]);
        key.extend_from_slice(self.key.as_bytes());
        let id = self.verifier().id();
        Zeroizing::new(format!("PRIVATE+KEY+{}+{}+{}", self.name, hex::Hex(&id), STANDARD.encode(&*key)))
    }

    /// The public half.
    pub fn verifier(&self) -> NoteVerifier {
        NoteVerifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The note with this text and this key's signature. The same text gives the same bytes.
    ///
    /// # Panics
    /// When the text does not end in a newline.
    pub fn sign(&self, text: &str) -> Vec<u8> {
        assert!(text.ends_with('\n'), "a note's text ends in a newline");
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        let signature = STANDARD.encode([self.verifier().id().as_slice(), &signature].concat());
        format!("{text}\n\u{2014} {} {signature}\n", self.name).into_bytes()
    }
}

/// A key's text taken apart: name, id and the bytes after the type.
type KeyParts<'a> = (&'a str, [u8; 4], Zeroizing<Vec<u8>>);

fn split_key(key: &str) -> Result<KeyParts<'_>, NoteError> {
    let mut parts = key.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::Key("expected name, id and key, joined by +"));
    };
    if !is_origin(name) {
        return Err(NoteError::Key("the name has a character that notes do not allow"));
    }
    let id = hex::decode(id).ok_or(NoteError::Key("the id is not eight hex digits"))?;
    let key = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| NoteError::Key("not base64"))?);
    match key.split_first() {
        Some((&ED25519, rest)) => Ok((name, id, Zeroizing::new(rest.to_vec()))),
        _ => Err(NoteError::Key("not an Ed25519 key")),
    }
}

fn split_note(note: &[u8]) -> Result<(&str, Vec<&str>), NoteError> {
    if note.len() > NOTE_BYTES_MAX {
        return Err(NoteError::Note("too long"));
    }
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Note("not UTF-8"))?;
    if note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Note("a control character"));
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Note("no signatures"))?;
    let (text, signatures) = (&note[..=blank], &note[blank + 2..]);
    let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Note("the last line does not end"))?;
    let lines: Vec<&str> = signatures.split('\n').collect();
    if lines.len() > SIGNATURES_MAX {
        return Err(NoteError::Note("too many signatures"));
    }
    Ok((text, lines))
}

fn parse_signature(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let rest = line.strip_prefix("\u{2014} ").ok_or(NoteError::Note("a signature line without a dash"))?;
    let (name, signature) = rest.split_once(' ').ok_or(NoteError::Note("a signature line without a name"))?;
    if name.is_empty() || name.contains('+') {
        return Err(NoteError::Note("a signature by no name"));
    }
    let signature =
        STANDARD.decode(signature).map_err(|_| NoteError::Note("a signature that is not base64"))?;
    Ok((name, signature))
}

/// A log's size and root under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also its key's.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads the text. Extension lines are refused: nothing would audit what they say.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let body = text.strip_suffix('\n').ok_or(NoteError::Checkpoint("the last line does not end"))?;
        let lines: Vec<&str> = body.split('\n').collect();
        let [origin, size, root] = lines.as_slice() else {
            return Err(NoteError::Checkpoint("expected origin, size and root"));
        };
        let number: u64 = size.parse().map_err(|_| NoteError::Checkpoint("the size is not a number"))?;
        if number.to_string() != *size {
            return Err(NoteError::Checkpoint("the size is not in plain decimal"));
        }
        let root = STANDARD.decode(root).map_err(|_| NoteError::Checkpoint("the root is not base64"))?;
        let root: [u8; HASH_BYTES] =
            root.try_into().map_err(|_| NoteError::Checkpoint("the root has another length"))?;
        if !is_origin(origin) {
            return Err(NoteError::Checkpoint("the origin has a character that notes do not allow"));
        }
        Ok(Self { origin: (*origin).to_owned(), size: number, root: Hash(root) })
    }

    /// Signs it.
    pub fn sign(&self, signer: &NoteSigner) -> Vec<u8> {
        signer.sign(&self.to_text())
    }

    /// Opens a signed checkpoint of the log that this key belongs to.
    pub fn open(note: &[u8], verifier: &NoteVerifier) -> Result<Self, NoteError> {
        let checkpoint = Self::parse(verifier.open(note)?)?;
        if checkpoint.origin != verifier.name {
            let expected = verifier.name.clone();
            return Err(NoteError::Origin { found: checkpoint.origin, expected });
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::empty_root;

    /// The example of Go's golang.org/x/mod/sumdb/note documentation.
    const GO_VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const GO_SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_NOTE: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n\n\
        \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer() -> NoteSigner {
        NoteSigner::from_seed("example.com/log", &[7; 32]).unwrap()
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: "example.com/log".into(), size: 0, root: empty_root() }
    }

    #[test]
    fn the_example_of_another_implementation_is_read_and_written() {
        let verifier = NoteVerifier::parse(GO_VKEY).unwrap();
        let signer = NoteSigner::parse(GO_SKEY).unwrap();
        let text = verifier.open(GO_NOTE.as_bytes()).unwrap();
        assert_eq!(signer.sign(text), GO_NOTE.as_bytes());
        assert_eq!(signer.verifier().to_string(), GO_VKEY);
        assert_eq!(*signer.to_skey(), GO_SKEY);
    }

    #[test]
    fn foreign_signature_lines_are_ignored() {
        let mut note = checkpoint().sign(&signer());
        let other = NoteSigner::from_seed("example.com/witness", &[8; 32]).unwrap();
        let line = other.sign(&checkpoint().to_text());
        note.extend_from_slice(&line[checkpoint().to_text().len() + 1..]);
        note.extend_from_slice(format!("\u{2014} large {}\n", STANDARD.encode([1; 2424])).as_bytes());
        assert_eq!(Checkpoint::open(&note, &signer().verifier()), Ok(checkpoint()));
        let alone = NoteSigner::from_seed("example.com/absent", &[9; 32]).unwrap();
        assert!(matches!(alone.verifier().open(&note), Err(NoteError::Unsigned { .. })));
    }

    #[test]
    fn a_malformed_line_behind_the_signature_makes_it_no_note() {
        for line in ["\u{2014} witness not-base64!\n", "no dash\n", "\u{2014} witness AAA=\n"] {
            let mut note = checkpoint().sign(&signer());
            note.extend_from_slice(line.as_bytes());
            let opened = Checkpoint::open(&note, &signer().verifier());
            assert!(matches!(opened, Err(NoteError::Note(_))), "{line:?} {opened:?}");
        }
    }

    #[test]
    fn no_byte_of_a_signed_checkpoint_can_change() {
        let note = checkpoint().sign(&signer());
        for at in 0..note.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut mutant = note.clone();
                mutant[at] ^= flip;
                assert!(Checkpoint::open(&mutant, &signer().verifier()).is_err(), "byte {at} ^ {flip:#x}");
            }
        }
    }

    #[test]
    fn a_checkpoint_of_another_log_under_the_same_key_is_refused() {
        let other = Checkpoint { origin: "example.com/other".into(), ..checkpoint() };
        let note = other.sign(&signer());
        assert!(matches!(Checkpoint::open(&note, &signer().verifier()), Err(NoteError::Origin { .. })));
    }

    #[test]
    fn odd_checkpoints_are_refused() {
        let root = STANDARD.encode([0; 32]);
        for bad in [
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n1\n{root}"),
            format!("o\n1\n{root}\nextension\n"),
            format!("\n1\n{root}\n"),
            "o\n1\nAAAA\n".to_owned(),
            "o\n1\n".to_owned(),
        ] {
            assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_private_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", signer()), "NoteSigner(example.com/log)");
    }
}
