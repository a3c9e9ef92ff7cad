//! How the counts of a batch went.

use minicbor::{Decode, Encode};
use ota_core::batch::{History, Point};
use ota_core::time::Timestamp;

use super::batch_v1::CountsRecord;
use super::{Corrupt, Record, read_body, write_body};

#[derive(Encode, Decode)]
struct HistoryRecord {
    #[n(0)]
    interval_minutes: u32,
    #[n(1)]
    points: Vec<(u64, CountsRecord)>,
}

impl Record for History {
    fn write(&self, out: &mut Vec<u8>) {
        let points = self.points.iter().map(|point| (point.at.0, point.counts.into())).collect();
        write_body(&HistoryRecord { interval_minutes: self.interval_minutes, points }, out);
    }

    fn read(bytes: Vec<u8>) -> Result<Self, Corrupt> {
        let HistoryRecord { interval_minutes, points } = read_body(&bytes)?;
        let point = |(at, counts): (u64, CountsRecord)| Point { at: Timestamp(at), counts: counts.into() };
        Ok(Self { interval_minutes, points: points.into_iter().map(point).collect() })
    }
}
