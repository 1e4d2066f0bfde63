//! Latent semantic analysis: what the passages of a collection tell about which words mean similar things.
//!
//! The matrix of passages and terms (TF-IDF, rows of length 1) is reduced to its strongest directions by subspace
//! iteration. The basis that comes out spans what a singular value decomposition would give, turned by some rotation,
//! which no cosine notices. Everything is summed in a fixed order from a fixed start: the same passages in the same
//! order give the same bits.

use std::collections::BTreeMap;

/// Length of the vectors.
pub const DIMENSIONS: usize = 256;
/// Passages that a fit looks at; of more, an even selection.
pub const SAMPLE: usize = 2_048;
/// Terms that get a vector, those in the most passages.
const VOCABULARY: usize = 10_000;
/// A term in a single passage connects nothing.
const LEAST_PASSAGES: usize = 2;
/// Passages for each direction: fewer directions than passages are what makes different words meet.
const PER_DIRECTION: usize = 3;
/// Rounds of the iteration; more change nothing that a ranking would show.
const ROUNDS: usize = 4;
/// A direction with less than this part of the strongest one's length is noise of the arithmetic.
const NEGLIGIBLE: f64 = 1e-9;

/// A passage: the numbers of its terms, in order, and how often each occurs.
pub type Bag = Vec<(i64, i16)>;

/// The vectors of terms, by their numbers.
pub type Terms = BTreeMap<i64, Vec<f32>>;

/// What a term weighs in a passage by its count.
pub fn damped(count: i16) -> f32 {
    1.0 + f32::from(count.max(1)).ln()
}

/// Where a text stands: the sum of its terms' vectors, of length 1. `None` when no term is known.
pub fn place(bag: &[(i64, i16)], terms: &Terms) -> Option<Vec<f32>> {
    let mut sum = vec![0.0_f32; DIMENSIONS];
    for (term, count) in bag {
        if let Some(vector) = terms.get(term) {
            add(&mut sum, damped(*count), vector);
        }
    }
    let length = dot(&sum, &sum).sqrt();
    (length > 1e-6).then(|| {
        sum.iter_mut().for_each(|x| *x /= length);
        sum
    })
}

/// Vectors for the terms of these passages, each weighed by its inverse document frequency. Shorter than
/// [`DIMENSIONS`] where there are few passages.
pub fn fit(passages: &[Bag]) -> Terms {
    let vocabulary = Vocabulary::of(passages);
    let rows: Vec<Vec<(usize, f32)>> = passages.iter().map(|bag| vocabulary.row(bag)).collect();
    let width = (passages.len() / PER_DIRECTION).min(DIMENSIONS).min(vocabulary.numbers.len());
    if width == 0 {
        return Terms::new();
    }
    let mut left = Matrix::scattered(rows.len(), width);
    left.straighten();
    for _ in 0..ROUNDS {
        let right = gather(&rows, &left, vocabulary.numbers.len());
        left = spread(&rows, &right);
        left.straighten();
    }
    let mut right = gather(&rows, &left, vocabulary.numbers.len());
    right.straighten();
    let weighed = right.rows().zip(&vocabulary.idf).map(|(row, idf)| {
        let mut vector: Vec<f32> = row.iter().map(|x| x * idf).collect();
        vector.resize(DIMENSIONS, 0.0);
        vector
    });
    vocabulary.numbers.iter().copied().zip(weighed).collect()
}

/// The terms that count, in order of their numbers.
struct Vocabulary {
    numbers: Vec<i64>,
    idf: Vec<f32>,
}

impl Vocabulary {
    #[expect(clippy::cast_precision_loss, reason = "counts of passages")]
    fn of(passages: &[Bag]) -> Self {
        let mut found: BTreeMap<i64, usize> = BTreeMap::new();
        for (term, _) in passages.iter().flatten() {
            *found.entry(*term).or_default() += 1;
        }
        let mut kept: Vec<(i64, usize)> =
            found.into_iter().filter(|(_, passages)| *passages >= LEAST_PASSAGES).collect();
        kept.sort_by_key(|(term, passages)| (std::cmp::Reverse(*passages), *term));
        kept.truncate(VOCABULARY);
        kept.sort_unstable();
        let all = passages.len() as f32;
        let idf = |df: usize| ((1.0 + all) / (1.0 + df as f32)).ln() + 1.0;
        Self {
            idf: kept.iter().map(|(_, df)| idf(*df)).collect(),
            numbers: kept.into_iter().map(|(term, _)| term).collect(),
        }
    }

    fn row(&self, bag: &[(i64, i16)]) -> Vec<(usize, f32)> {
        let weighed = bag.iter().filter_map(|(term, count)| {
            let at = self.numbers.binary_search(term).ok()?;
            Some((at, damped(*count) * self.idf[at]))
        });
        let mut row: Vec<(usize, f32)> = weighed.collect();
        let length = row.iter().map(|(_, x)| x * x).sum::<f32>().sqrt();
        row.iter_mut().for_each(|(_, x)| *x /= length);
        row
    }
}

/// Rows of numbers, one after the other.
struct Matrix {
    width: usize,
    cells: Vec<f32>,
}

impl Matrix {
    fn zero(height: usize, width: usize) -> Self {
        Self { width, cells: vec![0.0; height * width] }
    }

    /// Ones and minus ones that follow no pattern.
    fn scattered(height: usize, width: usize) -> Self {
        let mut state = 0_u64;
        let mut next = || {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            if (mixed ^ (mixed >> 31)) & 1 == 0 { 1.0 } else { -1.0 }
        };
        Self { width, cells: (0..height * width).map(|_| next()).collect() }
    }

    fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.cells.chunks_exact(self.width)
    }

    fn row(&self, at: usize) -> &[f32] {
        &self.cells[at * self.width..][..self.width]
    }

    fn row_mut(&mut self, at: usize) -> &mut [f32] {
        &mut self.cells[at * self.width..][..self.width]
    }

    /// Makes the columns perpendicular and of length 1, by the Cholesky factor of their products; one that the others
    /// span already becomes zero.
    fn straighten(&mut self) {
        let factor = cholesky(self.products(), self.width);
        let width = self.width;
        for row in self.cells.chunks_exact_mut(width) {
            for column in 0..width {
                let (done, rest) = row.split_at_mut(column);
                let line = &factor[column * width..][..=column];
                let known: f64 = done.iter().zip(line).map(|(x, l)| f64::from(*x) * l).sum();
                let pivot = line[column];
                let value = if pivot > 0.0 { (f64::from(rest[0]) - known) / pivot } else { 0.0 };
                #[expect(clippy::cast_possible_truncation, reason = "a vector of floats")]
                let value = value as f32;
                rest[0] = value;
            }
        }
    }

    /// The products of all pairs of columns, the lower half.
    fn products(&self) -> Vec<f64> {
        let mut products = vec![0.0; self.width * self.width];
        for row in self.rows() {
            for (column, x) in row.iter().enumerate() {
                let x = f64::from(*x);
                let line = &mut products[column * self.width..][..=column];
                line.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * f64::from(*y));
            }
        }
        products
    }
}

/// The lower triangle whose square is this symmetric matrix. Lines of what is no direction of its own are zero.
fn cholesky(mut matrix: Vec<f64>, width: usize) -> Vec<f64> {
    let strongest = (0..width).map(|n| matrix[n * width + n]).fold(0.0, f64::max);
    for at in 0..width {
        let (above, below) = matrix.split_at_mut(at * width);
        let line = &mut below[..width];
        for column in 0..at {
            let other = &above[column * width..][..=column];
            let known: f64 = line[..column].iter().zip(other).map(|(a, b)| a * b).sum();
            let pivot = other[column];
            line[column] = if pivot > 0.0 { (line[column] - known) / pivot } else { 0.0 };
        }
        let known: f64 = line[..at].iter().map(|x| x * x).sum();
        let rest = line[at] - known;
        line[at] = if rest > strongest * NEGLIGIBLE { rest.sqrt() } else { 0.0 };
    }
    matrix
}

/// For every term the sum of its passages' rows.
fn gather(rows: &[Vec<(usize, f32)>], left: &Matrix, terms: usize) -> Matrix {
    let mut right = Matrix::zero(terms, left.width);
    for (row, place) in rows.iter().zip(left.rows()) {
        for (term, weight) in row {
            add(right.row_mut(*term), *weight, place);
        }
    }
    right
}

/// For every passage the sum of its terms' rows.
fn spread(rows: &[Vec<(usize, f32)>], right: &Matrix) -> Matrix {
    let mut left = Matrix::zero(rows.len(), right.width);
    for (at, row) in rows.iter().enumerate() {
        for (term, weight) in row {
            add(left.row_mut(at), *weight, right.row(*term));
        }
    }
    left
}

fn add(sum: &mut [f32], weight: f32, row: &[f32]) {
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Terms 1 to 3 are about one thing, 11 to 13 about another; 1 and 3 never stand together, nor do 11 and 13.
    fn passages() -> Vec<Bag> {
        let bag = |terms: &[i64]| terms.iter().map(|term| (*term, 1)).collect();
        let about =
            [&[1, 2][..], &[2, 3], &[1, 2], &[2, 3], &[11, 12], &[12, 13], &[11, 12], &[12, 13]];
        about.iter().map(|terms| bag(terms)).collect()
    }

    fn similarity(a: i64, b: i64) -> f32 {
        let terms = fit(&passages());
        let place = |term| place(&[(term, 1)], &terms).unwrap_or_default();
        dot(&place(a), &place(b))
    }

    #[test]
    fn words_that_keep_the_same_company_lie_near_each_other() {
        assert!(similarity(1, 3) > 0.9, "{}", similarity(1, 3));
        assert!(similarity(1, 13).abs() < 0.1, "{}", similarity(1, 13));
    }

    #[test]
    fn the_same_passages_give_the_same_bits() {
        assert_eq!(fit(&passages()), fit(&passages()));
    }

    #[test]
    fn directions_are_perpendicular_and_what_repeats_is_dropped() {
        let mut matrix =
            Matrix { width: 3, cells: vec![1.0, 2.0, 1.0, 0.0, 0.0, 5.0, 2.0, 4.0, 0.0] };
        matrix.straighten();
        let products = matrix.products();
        for (at, expected) in [(0, 1.0), (3, 0.0), (4, 0.0), (6, 0.0), (7, 0.0), (8, 1.0)] {
            assert!((products[at] - expected).abs() < 1e-6, "{products:?}");
        }
    }

    #[test]
    fn nothing_known_is_nowhere() {
        assert_eq!(place(&[(99, 1)], &fit(&passages())), None);
        assert!(fit(&[]).is_empty() && fit(&[vec![(1, 1)]]).is_empty());
    }
}
