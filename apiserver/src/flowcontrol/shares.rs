//! From shares to seats: what each level has, keeps in any case, and may come to by borrowing.
//! Upstream: flowcontrol.cfgMeal.finishQueueSetReconfigsLocked.

/// What a PriorityLevelConfiguration says about seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// `nominalConcurrencyShares`
    pub(super) shares: u32,
    /// `lendablePercent`
    pub(super) lendable_percent: u32,
    /// `borrowingLimitPercent`; None is no limit.
    pub(super) borrowing_limit_percent: Option<u32>,
}

/// Seats of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Limits {
    /// Its part of all seats.
    pub(crate) nominal: u32,
    /// What it does not lend.
    pub(crate) kept: u32,
    /// What it may have with what others lend.
    pub(crate) highest: u32,
}

impl Limits {
    /// How many seats one request may take of a level that deals its flows so many queues: 15 in 100 of what is nominally
    /// its own, and never so many that a flow's queues could be full of such. Upstream: priorityLevelMaxSeatsPercent.
    pub(super) fn widest_request(&self, hand_size: u32) -> u32 {
        let part = (u64::from(self.nominal) * 15).div_ceil(100);
        u32::try_from(part).unwrap_or(u32::MAX).min(self.nominal / hand_size.max(1)).max(1)
    }
}

/// The limits of each level when there are `total` seats.
pub(super) fn limits(levels: &[Share], total: u32) -> Vec<Limits> {
    let sum: u64 = levels.iter().map(|level| u64::from(level.shares)).sum::<u64>().max(1);
    let small = |seats: u64| u32::try_from(seats).unwrap_or(u32::MAX);
    let percent = |seats: u32, percent: u32| small((u64::from(seats) * u64::from(percent) + 50) / 100);
    let of = |level: &Share| {
        let nominal = small((u64::from(total) * u64::from(level.shares)).div_ceil(sum));
        let borrowed = level.borrowing_limit_percent.map_or(total, |limit| percent(nominal, limit));
        Limits {
            nominal,
            kept: nominal - percent(nominal, level.lendable_percent.min(100)),
            highest: nominal.saturating_add(borrowed).min(total.max(nominal)),
        }
    };
    levels.iter().map(of).collect()
}
