//! Random choices that are the same on every machine.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of choices that depends on its seed alone. It uses integer arithmetic only, because floating-point
/// functions of two platforms may differ in the last bit.
#[derive(Debug)]
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `bound`, or 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// A number in `low..=high`.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `percent` times in a hundred.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of `choices`, with equal probability. `choices` must not be empty.
    pub(super) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// One of `choices`, with a probability proportional to its weight. `choices` must not be empty.
    pub(super) fn weighted<'a, T>(
        &mut self,
        choices: &'a [T],
        weight: impl Fn(&T) -> u64,
    ) -> &'a T {
        let total: u64 = choices.iter().map(&weight).sum();
        let mut left = self.below(total);
        let chosen = choices.iter().position(|choice| {
            let own = weight(choice);
            let found = left < own;
            left = left.saturating_sub(own);
            found
        });
        &choices[chosen.unwrap_or_default()]
    }

    /// One of `choices` by Zipf's law: the *n*-th is *n* times less likely than the first. A few people do most of
    /// the work.
    pub(super) fn zipf<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let ranks: Vec<usize> = (0..choices.len()).collect();
        &choices[*self.weighted(&ranks, |rank| 10_000 / (*rank as u64 + 1))]
    }

    /// A new event id in the form of a UUID.
    pub(super) fn event_id(&mut self) -> String {
        let (high, low) = (self.0.next_u64(), self.0.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | ((low >> 48) & 0x3fff),
            low & 0xffff_ffff_ffff
        )
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap_or_default()
    }
}

/// A discrete distribution that is fast to draw from.
#[derive(Debug)]
pub(super) struct Shares {
    /// The cumulative weights.
    until: Vec<u64>,
}

impl Shares {
    /// The distribution with these weights.
    pub(super) fn of(weights: impl IntoIterator<Item = u64>) -> Self {
        let running = weights.into_iter().scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            until: running.collect(),
        }
    }

    /// Zipf's law over `count` items: the *n*-th is *n* times less likely than the first.
    pub(super) fn zipf(count: usize) -> Self {
        Self::of((1..=count as u64).map(|rank| 1_000_000 / rank))
    }

    /// Draws the index of an item.
    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.below(self.until.last().copied().unwrap_or_default());
        self.until.partition_point(|until| *until <= drawn)
    }
}

/// A hash of `parts`, for ids that are the same in every event.
pub(super) fn mixed(parts: &[u64]) -> u64 {
    parts.iter().fold(0x9e37_79b9_7f4a_7c15, |state, part| {
        let state = (state ^ part).wrapping_mul(0xff51_afd7_ed55_8ccd);
        let state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        state ^ (state >> 29)
    })
}

/// [`mixed`] of a text.
pub(super) fn mixed_text(text: &str) -> u64 {
    let bytes: Vec<u64> = text.bytes().map(u64::from).collect();
    mixed(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let mut random = Random::new(7);
        let drawn: Vec<u64> = (0..5).map(|_| random.below(1_000)).collect();
        let mut again = Random::new(7);
        assert_eq!(
            drawn,
            (0..5).map(|_| again.below(1_000)).collect::<Vec<_>>()
        );
        assert_ne!(drawn, vec![drawn[0]; 5]);
    }

    #[test]
    fn weights_are_followed() {
        let mut random = Random::new(1);
        let choices = [("never", 0), ("often", 9), ("rare", 1)];
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            let (name, _) = random.weighted(&choices, |choice| choice.1);
            counts[choices.iter().position(|choice| choice.0 == *name).unwrap()] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!((8_700..9_300).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn shares_are_drawn_as_often_as_they_say() {
        let mut random = Random::new(4);
        let shares = Shares::of([0, 3, 1]);
        let mut counts = [0_u32; 3];
        (0..10_000).for_each(|_| counts[shares.draw(&mut random)] += 1);
        assert_eq!(counts[0], 0);
        assert!((7_300..7_700).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn bounds_are_kept() {
        let mut random = Random::new(2);
        assert_eq!(random.below(0), 0);
        assert!((0..1_000).all(|_| (3..=5).contains(&random.between(3, 5))));
    }

    #[test]
    fn event_ids_look_like_uuids() {
        let id = Random::new(3).event_id();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'4');
    }
}
