//! The pages of the audit log.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};
use ota_core::access::{AuditEntry, Role};
use ota_core::ids::{ProductKey, TokenId};
use ota_core::time::Timestamp;

use super::{Corrupt, Record, read_body, state, write_body};
use crate::audit::AuditPage;

#[derive(Encode, Decode)]
struct EntryRecord<'a> {
    #[cbor(n(0), with = "minicbor::bytes")]
    request: [u8; 16],
    #[n(1)]
    at: u64,
    #[b(2)]
    actor: &'a str,
    #[n(3)]
    token: Option<ByteArray<16>>,
    #[b(4)]
    role: &'a str,
    #[b(5)]
    action: &'a str,
    #[b(6)]
    subject: &'a str,
    #[b(7)]
    product: Option<&'a str>,
    #[n(8)]
    status: Option<u16>,
}

#[derive(Encode, Decode)]
struct PageRecord<'a> {
    #[n(0)]
    number: u64,
    #[b(1)]
    entries: Vec<EntryRecord<'a>>,
    #[b(2)]
    open: Vec<EntryRecord<'a>>,
}

impl<'a> From<&'a AuditEntry> for EntryRecord<'a> {
    fn from(entry: &'a AuditEntry) -> Self {
        Self {
            request: entry.request,
            at: entry.at.0,
            actor: &entry.actor,
            token: entry.token.map(|id| id.0.into()),
            role: entry.role.as_str(),
            action: &entry.action,
            subject: &entry.subject,
            product: entry.product.as_ref().map(ProductKey::as_str),
            status: entry.status,
        }
    }
}

impl TryFrom<EntryRecord<'_>> for AuditEntry {
    type Error = Corrupt;

    fn try_from(record: EntryRecord<'_>) -> Result<Self, Corrupt> {
        Ok(Self {
            request: record.request,
            at: Timestamp(record.at),
            actor: record.actor.to_owned(),
            token: record.token.map(|id| TokenId(id.into())),
            role: state(Role::parse(record.role), record.role)?,
            action: record.action.to_owned(),
            subject: record.subject.to_owned(),
            product: record.product.map(ProductKey::new).transpose()?,
            status: record.status,
        })
    }
}

impl Record for AuditPage {
    fn write(&self, out: &mut Vec<u8>) {
        let record = PageRecord {
            number: self.number,
            entries: self.entries.iter().map(EntryRecord::from).collect(),
            open: self.open.iter().map(EntryRecord::from).collect(),
        };
        write_body(&record, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let record: PageRecord<'_> = read_body(&bytes)?;
        let read = |entries: Vec<EntryRecord<'_>>| entries.into_iter().map(AuditEntry::try_from).collect();
        let (entries, open): (Result<_, Corrupt>, Result<_, Corrupt>) =
            (read(record.entries), read(record.open));
        Ok(Self { number: record.number, entries: entries?, open: open? })
    }
}
