//! An attempt to upgrade: download, check, write.

use tokio::time::sleep;

use super::{Device, DeviceError, Fault};
use crate::download::{Advance, Digests, Download, Hardships};
use crate::event::What;
use crate::plan::{Failure, Quirk};
use crate::push::{Digest, Upgrade};

/// Where a download fails, or is cut, on purpose: shares of the file in percent.
const CUTS_UNTIL_GIVING_UP: [u64; 4] = [40, 45, 50, 55];

impl Device {
    /// Downloads, checks and writes an upgrade.
    pub(super) async fn attempt(&mut self, upgrade: &Upgrade) -> Result<Result<(), Fault>, DeviceError> {
        let behavior = &self.config.behavior;
        let failure = behavior.failure.filter(|_| self.attempts <= behavior.failing_attempts);
        let digests = {
            let downloads = self.config.downloads.clone();
            let Ok(_permit) = downloads.acquire().await else {
                return Ok(Err((-1, "the device is shutting down".to_owned())));
            };
            match self.download(upgrade, failure).await? {
                Ok(digests) => digests,
                Err(desc) => return Ok(Err((Failure::Download.step(), desc))),
            }
        };
        if let Err(desc) = verify(upgrade, &digests) {
            return Ok(Err((Failure::Verification.step(), desc)));
        }
        sleep(self.config.timing.flash).await;
        if failure == Some(Failure::Flashing) {
            let block = self.random.below(upgrade.size / 4096 + 1);
            return Ok(Err((Failure::Flashing.step(), format!("flash write error at block {block}"))));
        }
        Ok(Ok(()))
    }

    async fn download(
        &mut self,
        upgrade: &Upgrade,
        failure: Option<Failure>,
    ) -> Result<Result<Digests, String>, DeviceError> {
        let quirk = self.config.behavior.quirk;
        let share = |percent: u64| upgrade.size * percent / 100;
        let hardships = Hardships {
            cuts_at: match (failure, quirk) {
                (Some(Failure::Download), _) => CUTS_UNTIL_GIVING_UP.map(share).to_vec(),
                (_, Quirk::Resumes) => vec![share(60)],
                _ => vec![],
            },
            cuts_max: if failure == Some(Failure::Download) { 3 } else { 8 },
            corrupt_at: (failure == Some(Failure::Verification)).then(|| self.random.below(upgrade.size)),
            bytes_per_second: self.config.timing.bytes_per_second,
        };
        let url = match &self.config.base_url {
            Some(base) => moved(&upgrade.url, base),
            None => upgrade.url.clone(),
        };
        let mut download = Download::new(self.config.http.clone(), url, upgrade.size, hardships);
        let mut drops_at = (quirk == Quirk::Drops).then_some(50);
        loop {
            match download.advance().await {
                Ok(Some(Advance::Percent(percent))) => {
                    self.report(i8::try_from(percent).unwrap_or(100), "").await?;
                    self.tell(What::Progress { percent });
                    if drops_at.is_some_and(|at| percent >= at) {
                        drops_at = None;
                        self.link = None;
                        self.tell(What::Offline { why: "lost its connection on purpose".to_owned() });
                        sleep(self.config.timing.absence).await;
                        self.connect().await?;
                    }
                }
                Ok(Some(Advance::Cut(at))) => self.tell(What::Cut { at }),
                Ok(None) => return Ok(Ok(download.finish())),
                Err(desc) => return Ok(Err(desc)),
            }
        }
    }
}

/// Compares what arrived with what was announced, by `sign` and, as one widely shipped SDK does, by `md5`.
fn verify(upgrade: &Upgrade, digests: &Digests) -> Result<(), String> {
    let sign = match upgrade.digest {
        Digest::Md5 => &digests.md5,
        Digest::Sha256 => &digests.sha256,
    };
    let head = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    if *sign != upgrade.sign {
        return Err(format!("digest mismatch: {}.. where {}.. is due", head(sign), head(&upgrade.sign)));
    }
    if digests.md5 != upgrade.md5 {
        return Err(format!("md5 mismatch: {}.. where {}.. is due", head(&digests.md5), head(&upgrade.md5)));
    }
    Ok(())
}

/// Puts another scheme, host and port before a URL's path.
fn moved(url: &str, base: &str) -> String {
    let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    format!("{}/{path}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_moves_with_its_path_and_query() {
        let wanted = "http://10.0.0.2:8080/d/x?e=1&s=2";
        assert_eq!(moved("http://127.0.0.1:3000/d/x?e=1&s=2", "http://10.0.0.2:8080/"), wanted);
    }

    #[test]
    fn both_digests_count() {
        let digests = Digests { md5: "m".repeat(32), sha256: "s".repeat(64) };
        let mut upgrade = Upgrade {
            version: "2".into(),
            url: String::new(),
            size: 1,
            digest: Digest::Sha256,
            sign: digests.sha256.clone(),
            md5: digests.md5.clone(),
        };
        assert_eq!(verify(&upgrade, &digests), Ok(()));
        upgrade.md5 = "0".repeat(32);
        assert!(verify(&upgrade, &digests).unwrap_err().starts_with("md5 mismatch"));
        upgrade.sign = "0".repeat(64);
        assert!(verify(&upgrade, &digests).unwrap_err().starts_with("digest mismatch"));
    }
}
