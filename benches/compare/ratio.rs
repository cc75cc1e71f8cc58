//! Paired ratios of two programs, the noise of one against itself, and whether a bar holds.

use crate::report::median;

/// How much more a program may cost than another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bar {
    share: f64,
    has_noise: bool,
}

impl Bar {
    /// So much more, as a share of what the other one costs.
    pub(crate) const fn new(share: f64) -> Self {
        let has_noise = false;
        Self { share, has_noise }
    }

    /// The noise may come on top.
    pub(crate) const fn and_noise(self) -> Self {
        let has_noise = true;
        Self { has_noise, ..self }
    }

    /// The largest ratio with which the bar holds.
    fn most(self, noise: f64) -> f64 {
        1.0 + self.share + if self.has_noise { noise } else { 0.0 }
    }
}

/// What each run cost: with the other program, the measured one, and the measured one again.
#[derive(Debug, Default)]
pub(crate) struct Rounds(Vec<[f64; 3]>);

/// What one program costs beside another.
#[derive(Debug)]
pub(crate) struct Compared {
    pub(crate) name: String,
    /// The medians of the other and of the measured program.
    pub(crate) medians: (f64, f64),
    /// The median of the runs' ratios, measured ÷ other.
    pub(crate) ratio: f64,
    /// How far the ratios of the measured program to itself are from 1.
    pub(crate) noise: f64,
    bar: Bar,
}

impl Rounds {
    /// Adds a run.
    pub(crate) fn push(&mut self, costs: [f64; 3]) {
        self.0.push(costs);
    }

    /// What the runs come to.
    pub(crate) fn compared(&self, name: &str, bar: Bar) -> Compared {
        let costs = |at: usize| self.0.iter().map(move |costs| costs[at]);
        let ratios = |of: usize, to: usize| -> Vec<f64> {
            self.0.iter().map(|costs| costs[of] / costs[to]).collect()
        };
        Compared {
            name: name.to_owned(),
            medians: (median(costs(0).collect()), median(costs(1).collect())),
            ratio: median(ratios(1, 0)),
            noise: noise(ratios(2, 1)),
            bar,
        }
    }
}

impl Compared {
    /// Whether the bar holds.
    pub(crate) fn holds(&self) -> bool {
        self.ratio <= self.bar.most(self.noise)
    }

    /// Whether more runs could change whether the bar holds.
    pub(crate) fn is_near(&self) -> bool {
        (self.ratio - self.bar.most(0.0)).abs() <= self.noise
    }

    /// The geometric means of lines of a table; `None` of less than two lines.
    pub(crate) fn mean(lines: &[Self]) -> Option<Self> {
        let [first, _, ..] = lines else { return None };
        let mean = |number: fn(&Self) -> f64| {
            (lines.iter().map(|line| number(line).ln()).sum::<f64>() / lines.len() as f64).exp()
        };
        Some(Self {
            name: "geometric mean".to_owned(),
            medians: (mean(|line| line.medians.0), mean(|line| line.medians.1)),
            ratio: mean(|line| line.ratio),
            noise: mean(|line| 1.0 + line.noise) - 1.0,
            bar: first.bar,
        })
    }
}

/// The distance of the median from 1, and half the width of its interval of confidence of 95 %, which is
/// 1.57 times the range between the quartiles ÷ √n (McGill, Tukey and Larsen, 1978).
fn noise(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    let quartile = |quarters: usize| {
        let at = (ratios.len().saturating_sub(1)) * quarters / 4;
        ratios.get(at).copied().unwrap_or(1.0)
    };
    let range = quartile(3) - quartile(1);
    let confidence = 1.57 * range / (ratios.len().max(1) as f64).sqrt();
    (median(ratios) - 1.0).abs() + confidence
}
