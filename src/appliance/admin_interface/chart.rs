//! The temperature of the last hour as a line, drawn by plotters as SVG.
//!
//! Colours come from the style sheet, so that the line fits light and dark; numbers stand beside it as text. Must
//! never put text from outside into the picture: it is written unescaped.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};
use plotters::backend::SVGBackend;
use plotters::{
    coord::types::RangedCoordf64,
    prelude::{AreaSeries, Cartesian2d, ChartBuilder, ChartContext, Color, IntoDrawingArea, LineSeries, RGBColor},
};
use tokio::time::Instant;

use super::format;
use crate::thermal_watch::{History, Sample};

/// Size of the drawing; it is scaled to its place.
const SIZE: (u32, u32) = (600, 120);
/// What the plot covers.
const SPAN: Duration = Duration::from_secs(3600);
/// The scale never shows less than this many degrees, so that noise doesn't look like a mountain range.
const RANGE_C_MIN: f64 = 20.0;
/// Drawn in one colour that the style sheet replaces.
const INK: RGBColor = RGBColor(0, 110, 100);

/// The figure.
pub(super) fn temperature(history: &History) -> Markup {
    let samples: Vec<Sample> = history.samples().collect();
    let Some((lowest, highest, newest)) = extremes(&samples) else {
        return html! { p.muted { "No temperature has been measured yet." } };
    };
    let said = format!(
        "Temperature of the last hour: now {}, lowest {}, highest {}",
        format::temperature(newest),
        format::temperature(lowest),
        format::temperature(highest)
    );
    html! {
        figure.chart {
            @match draw(&samples, f64::from(lowest) / 1000.0, f64::from(highest) / 1000.0) {
                Ok(svg) => { div.plot role="img" aria-label=(said) { (PreEscaped(svg)) } }
                Err(error) => { p.muted { "The plot can't be drawn: " (error) } }
            }
            figcaption { "Last hour: " (format::temperature(lowest)) " to " (format::temperature(highest)) }
        }
    }
}

fn extremes(samples: &[Sample]) -> Option<(i32, i32, i32)> {
    let temperatures = || samples.iter().map(|sample| sample.temperature_mc);
    Some((temperatures().min()?, temperatures().max()?, temperatures().next_back()?))
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

fn draw(samples: &[Sample], lowest_c: f64, highest_c: f64) -> Result<String, String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let middle = f64::midpoint(lowest_c, highest_c);
        let half = ((highest_c - lowest_c) / 2.0 + 2.0).max(RANGE_C_MIN / 2.0);
        let chart = ChartBuilder::on(&area).build_cartesian_2d(-SPAN.as_secs_f64()..0.0, middle - half..middle + half);
        let mut chart = chart.map_err(|error| error.to_string())?;
        plot(&mut chart, samples, middle - half).map_err(|error| error.to_string())?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(scalable(&svg))
}

fn plot(
    chart: &mut Chart<'_, '_>,
    samples: &[Sample],
    floor_c: f64,
) -> Result<(), plotters::prelude::DrawingAreaErrorKind<std::io::Error>> {
    let now = Instant::now();
    let point =
        |sample: &Sample| (-now.duration_since(sample.at).as_secs_f64(), f64::from(sample.temperature_mc) / 1000.0);
    let points: Vec<_> = samples.iter().map(point).filter(|(at, _)| *at >= -SPAN.as_secs_f64()).collect();
    chart.draw_series(AreaSeries::new(points.iter().copied(), floor_c, INK.mix(0.15)))?;
    chart.draw_series(LineSeries::new(points, INK.stroke_width(2)))?;
    Ok(())
}

/// The drawing without its fixed size, so that its place decides, and hidden from screen readers: the frame speaks.
fn scalable(svg: &str) -> String {
    let fixed = format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1);
    svg.replacen(&fixed, "preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\"", 1)
}
