//! All functions by name, for a session that gets a plan from another machine.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use crate::charged::Charged;
use crate::regexp_extract::Matches;
use crate::regression::Regression;
use crate::text_match::TextTest;
use crate::whole_number::WholeOperator;
use crate::{
    bucket, concat, drain, finite, float_text, json, json_array, json_elements, json_keys,
    json_set, mode, number_summary, percentile, pinned, points, regexp_replace, step_start,
    whole_number,
};

/// Registers all functions, so that plans that name them can be read.
///
/// # Errors
/// The registry takes no functions.
pub fn register_all(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in scalar_functions() {
        registry.register_udf(Arc::new(function))?;
    }
    for function in aggregate_functions() {
        registry.register_udaf(Arc::new(function))?;
    }
    for function in window_functions() {
        registry.register_udwf(function)?;
    }
    Ok(())
}

fn scalar_functions() -> Vec<ScalarUDF> {
    let mut functions = vec![
        bucket::udf(),
        concat::udf(),
        drain::template_udf(),
        finite::udf(),
        float_text::udf(),
        json::get_udf(),
        json::number_udf(),
        json::text_udf(),
        json_array::udf(),
        json_elements::udf(),
        json_set::udf(),
        number_summary::part_udf(),
        number_summary::summary_udf(),
        percentile::value_udf(),
        pinned::anything_udf(),
        pinned::udf("pinned"),
        pinned::udf("pinned_test"),
        Matches::All.udf(),
        Matches::First.udf(),
        regexp_replace::udf(),
        step_start::udf(),
        whole_number::narrowed_udf(),
    ];
    functions.extend(TextTest::ALL.map(TextTest::function));
    functions.extend(WholeOperator::ALL.map(WholeOperator::udf));
    functions
}

fn aggregate_functions() -> Vec<AggregateUDF> {
    vec![
        drain::learn_udf(),
        json_keys::udf(),
        mode::udf(false),
        mode::udf(true),
        percentile::udf(),
        Regression::Correlation.udf(),
        Regression::Slope.udf(),
    ]
}

fn window_functions() -> [Arc<WindowUDF>; 2] {
    [false, true].map(points::along_points)
}

/// The arguments of a function that are notes, by their indices.
pub(crate) fn note_arguments(function: &ScalarUDF) -> &'static [usize] {
    if let Some(charged) = function.inner().downcast_ref::<Charged>() {
        return note_arguments(&charged.function);
    }
    match function.name() {
        "bucket" => &[bucket::NOTE],
        "template_of" => &drain::NOTES,
        "json_get" => &[json::GET_NOTE],
        "json_number" => &[json::NUMBER_NOTE],
        "json_array" => &[json_array::NOTE],
        "percentile_value" => &[percentile::NOTE],
        "whole_narrowed" => &[whole_number::NARROWED_NOTE],
        name if name.starts_with("whole_") => &[whole_number::NUMBER_NOTE],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use datafusion::prelude::SessionContext;

    use super::*;

    /// No function takes the name of another, also not that of one of DataFusion's.
    #[test]
    fn names_are_different() {
        let mut context = SessionContext::new();
        let known: HashSet<String> = context.state().scalar_functions().keys().cloned().collect();
        for function in scalar_functions() {
            assert!(!known.contains(function.name()), "{}", function.name());
        }
        let names: HashSet<String> = scalar_functions()
            .iter()
            .map(|function| function.name().to_owned())
            .collect();
        assert_eq!(names.len(), scalar_functions().len());
        register_all(&mut context).unwrap();
        for name in names {
            context.udf(&name).unwrap();
        }
    }
}
