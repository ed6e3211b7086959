//! Rounds in turns, and what is said about a series of numbers.

use std::fmt;

use anyhow::{Context as _, Result};

/// Numbers of one kind from one subject, one a round.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    values: Vec<f64>,
}

impl Series {
    /// Adds the number of a round.
    pub fn push(&mut self, value: f64) {
        let at = self.values.partition_point(|v| *v < value);
        self.values.insert(at, value);
    }

    /// The middle: half of the rounds were at most this. 0 where there is none.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The best round.
    pub fn min(&self) -> f64 {
        self.values.first().copied().unwrap_or(0.0)
    }

    /// Width of the middle half of the rounds.
    pub fn spread(&self) -> f64 {
        self.quantile(0.75) - self.quantile(0.25)
    }

    /// How many times the median of another series this one's is.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        self.median() / other.median()
    }

    /// Linear between the two nearest rounds.
    fn quantile(&self, q: f64) -> f64 {
        let Some(last) = self.values.len().checked_sub(1) else { return 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a benchmark has few rounds")]
        let place = q * last as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the last index"
        )]
        let below = place.floor() as usize;
        let above = (below + 1).min(last);
        self.values[below] + (self.values[above] - self.values[below]) * place.fract()
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:9.2} {:9.2} {:9.2}", self.median(), self.min(), self.spread())
    }
}

/// One subject of a benchmark: called once a round, it yields one number for each kind of measurement.
pub struct Subject<'s> {
    /// Its name in the table.
    pub name: String,
    /// Runs it once.
    pub run: Box<dyn FnMut() -> Result<Vec<f64>> + 's>,
}

/// Runs the subjects in turns; the first round warms up and does not count. The result holds, for each subject, a series for each kind.
///
/// # Errors
///
/// What a subject says, with its name.
pub fn in_turns(rounds: usize, subjects: &mut [Subject<'_>]) -> Result<Vec<Vec<Series>>> {
    let mut all: Vec<Vec<Series>> = subjects.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for (subject, series) in subjects.iter_mut().zip(&mut all) {
            let values = (subject.run)().with_context(|| format!("{} in round {round}", subject.name))?;
            series.resize(values.len(), Series::default());
            if round > 0 {
                for (series, value) in series.iter_mut().zip(values) {
                    series.push(value);
                }
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_up() {
        let mut series = Series::default();
        for value in [9.0, 1.0, 5.0, 3.0, 7.0] {
            series.push(value);
        }
        assert_eq!((series.median(), series.min(), series.spread()), (5.0, 1.0, 4.0));
        let mut half = Series::default();
        half.push(2.0);
        half.push(3.0);
        assert_eq!((half.median(), series.ratio_to(&half)), (2.5, 2.0));
        assert_eq!(Series::default().median(), 0.0);
    }

    #[test]
    fn subjects_take_turns_and_warm_up() {
        let order = std::cell::RefCell::new(String::new());
        let subject = |name: char| Subject {
            name: name.to_string(),
            run: {
                let order = &order;
                let mut n = 0.0;
                Box::new(move || {
                    order.borrow_mut().push(name);
                    n += 1.0;
                    Ok(vec![n])
                })
            },
        };
        let mut subjects = [subject('a'), subject('b')];
        let found = in_turns(2, &mut subjects).unwrap();
        drop(subjects);
        assert_eq!(order.into_inner(), "ababab");
        assert_eq!((found[0][0].min(), found[1][0].median()), (2.0, 2.5));
    }
}
