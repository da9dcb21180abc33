//! What is printed: medians, a column for each product, and how Muster compares with each peer, as Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::product::Product;

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// One table: a row for each thing measured.
pub(crate) struct Table {
    title: String,
    better: Better,
    products: Vec<Product>,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    figures: BTreeMap<Product, Vec<f64>>,
}

impl Table {
    /// `title` says what is measured and in which unit.
    pub(crate) fn new(title: &str, better: Better, products: &[Product]) -> Self {
        Self { title: title.into(), better, products: products.to_vec(), rows: Vec::new() }
    }

    /// Takes the figure of one round.
    pub(crate) fn add(&mut self, row: &str, product: Product, figure: f64) {
        crate::progress(&format!("{}: {row}: {} {}", self.title, product.name(), number(figure)));
        let at = self.rows.iter().position(|one| one.name == row).unwrap_or_else(|| {
            self.rows.push(Row { name: row.into(), figures: BTreeMap::new() });
            self.rows.len() - 1
        });
        self.rows[at].figures.entry(product).or_default().push(figure);
    }

    /// The table as Markdown; nothing if nothing was measured.
    pub(crate) fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let peers: Vec<Product> =
            self.products.iter().copied().filter(|product| *product != Product::Muster).collect();
        let own = self.products.contains(&Product::Muster);
        let mut text = format!("\n### {}\n| |", self.title);
        for product in &self.products {
            let _ = write!(text, " {} |", product.name());
        }
        let compared: &[Product] = if own { &peers } else { &[] };
        let word = if self.better == Better::More { "times" } else { "share of" };
        for peer in compared {
            let _ = write!(text, " {word} {} |", peer.name());
        }
        let columns = 1 + self.products.len() + compared.len();
        let _ = write!(text, "\n|{}\n", "---|".repeat(columns));
        for row in &self.rows {
            let figure = |product: Product| Some(median(row.figures.get(&product)?));
            let _ = write!(text, "| {} |", row.name);
            for product in &self.products {
                let _ = write!(text, " {} |", figure(*product).map_or("–".into(), number));
            }
            for peer in compared {
                let ratio =
                    figure(Product::Muster).zip(figure(*peer)).map(|(own, peer)| own / peer);
                let ratio = ratio.filter(|ratio| ratio.is_finite());
                let ratio = ratio.map_or("–".into(), |ratio| format!("{ratio:.2}"));
                let _ = write!(text, " {ratio} |");
            }
            text.push('\n');
        }
        text
    }
}

/// The middle one; of an even number the mean of the two in the middle.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// Three digits that count, and thousands apart.
fn number(figure: f64) -> String {
    let decimals = if figure >= 100.0 {
        0
    } else if figure >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{figure:.decimals$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_table_compares_muster_with_each_peer() {
        let mut table = Table::new(
            "Speed",
            Better::More,
            &[Product::Muster, Product::VictoriaMetrics, Product::Prometheus],
        );
        assert_eq!(table.markdown(), "");
        for figure in [2_000.4, 1_900.0, 2_100.0] {
            table.add("writing", Product::Muster, figure);
        }
        table.add("writing", Product::VictoriaMetrics, 500.1);
        let expected = "\n### Speed\n\
            | | Muster | VictoriaMetrics | Prometheus | times VictoriaMetrics | times Prometheus |\n\
            |---|---|---|---|---|---|\n\
            | writing | 2,000 | 500 | – | 4.00 | – |\n";
        assert_eq!(table.markdown(), expected);
    }

    #[test]
    fn numbers_show_what_counts() {
        for (figure, expected) in
            [(0.857, "0.86"), (12.34, "12.3"), (999.6, "1,000"), (1_234_567.0, "1,234,567")]
        {
            assert_eq!(number(figure), expected);
        }
    }
}
