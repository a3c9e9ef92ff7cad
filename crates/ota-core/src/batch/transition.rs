//! The life of a batch.

/// Where a batch stands (JobStatus).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchStatus {
    /// Waits for its start time.
    Planned,
    /// Its tasks are being made and pushed.
    InProgress,
    /// Every task has ended (R142).
    Completed,
    /// An operator ended it.
    Canceled,
}

/// What may happen to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEvent {
    /// Its start time has come.
    Started,
    /// Every device has its task, and every task has ended.
    AllTasksEnded {
        /// Whether an operator canceled tasks of it.
        canceled: bool,
    },
    /// An operator canceled the strategy of a dynamic batch: it is canceled, whatever its tasks do (R110).
    StrategyCanceled,
}

impl BatchStatus {
    /// Every status.
    pub const ALL: [Self; 4] = [Self::Planned, Self::InProgress, Self::Completed, Self::Canceled];

    /// Returns the name used in the API and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Tells whether the batch has ended.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Canceled)
    }

    /// Returns the status after `event`. An ended batch stays as it is.
    #[must_use]
    pub const fn after(self, event: BatchEvent) -> Self {
        match (self, event) {
            (Self::Planned | Self::InProgress, BatchEvent::Started) => Self::InProgress,
            (Self::Planned | Self::InProgress, BatchEvent::AllTasksEnded { canceled: true }) => {
                Self::Canceled
            }
            (Self::Planned | Self::InProgress, BatchEvent::AllTasksEnded { canceled: false }) => {
                Self::Completed
            }
            (Self::Planned | Self::InProgress, BatchEvent::StrategyCanceled) => Self::Canceled,
            (Self::Completed | Self::Canceled, _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::BatchEvent as E;
    use super::BatchStatus as S;

    #[test]
    fn r142_a_static_batch_is_completed_when_all_tasks_have_ended() {
        assert_eq!(S::InProgress.after(E::AllTasksEnded { canceled: false }), S::Completed);
        assert_eq!(S::InProgress.after(E::AllTasksEnded { canceled: true }), S::Canceled);
    }

    #[test]
    fn r110_canceling_the_strategy_cancels_the_batch() {
        assert_eq!(S::InProgress.after(E::StrategyCanceled), S::Canceled);
    }

    #[test]
    fn an_ended_batch_stays_as_it_is() {
        for status in [S::Completed, S::Canceled] {
            for event in [
                E::Started,
                E::StrategyCanceled,
                E::AllTasksEnded { canceled: true },
                E::AllTasksEnded { canceled: false },
            ] {
                assert_eq!(status.after(event), status);
            }
        }
    }

    #[test]
    fn names_read_back() {
        for status in S::ALL {
            assert_eq!(S::parse(status.as_str()), Some(status));
        }
    }
}
