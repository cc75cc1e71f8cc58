//! The mean of each run of points, in time that does not depend on how long the runs are.

/// The mean of each point and the `size - 1` before it; none where there are fewer. `size` is at least 1.
///
/// A run is the end of one block of `size` points and the start of the next, so that two sums are enough.
/// Nothing is subtracted, so that no error adds up along the points.
pub fn moving_average(points: &[f64], size: usize) -> Vec<Option<f64>> {
    let mut means = vec![None; points.len()];
    if size == 0 || size > points.len() {
        return means;
    }
    // The sum from each point to the end of its block.
    let mut to_end = points.to_vec();
    for index in (0..points.len().saturating_sub(1)).rev() {
        if (index + 1) % size != 0 {
            to_end[index] += to_end[index + 1];
        }
    }
    let mut from_start = 0.0;
    for (last, point) in points.iter().enumerate() {
        from_start = match last % size {
            0 => *point,
            _ => from_start + point,
        };
        if let Some(first) = (last + 1).checked_sub(size) {
            let sum = match first % size {
                0 => to_end[first],
                _ => to_end[first] + from_start,
            };
            means[last] = Some(sum / size as f64);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every run has the mean that adding it up anew gives.
    #[test]
    fn runs_of_every_size_have_their_means() {
        let points: Vec<f64> = (0..50).map(|index| f64::from(index * index % 17)).collect();
        for size in 1..60 {
            for (last, mean) in moving_average(&points, size).into_iter().enumerate() {
                let expected = (last + 1)
                    .checked_sub(size)
                    .map(|first| points[first..=last].iter().sum::<f64>() / size as f64);
                assert_eq!(mean, expected, "{size} at {last}");
            }
        }
        assert_eq!(moving_average(&[], 1), []);
    }

    /// A long window over many points takes no longer than a short one: 40 billion additions would not end.
    #[test]
    fn long_windows_cost_no_more() {
        let points = vec![1.0; 400_000];
        let means = moving_average(&points, 200_000);
        assert_eq!(means.iter().flatten().count(), 200_001);
        assert!(means.iter().flatten().all(|mean| *mean == 1.0));
    }
}
