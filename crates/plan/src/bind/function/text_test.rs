//! Tests on text, and the test whether a value exists.

use functions::TextTest;

use super::{Function, QueryBinding};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::text_test("re", TextTest::Regex),
    Function::text_test("regex", TextTest::Regex),
    Function::text_test("regexp", TextTest::Regex),
    Function::text_test("match", TextTest::Substring),
    Function::text_test("search", TextTest::Words),
    Function::text_test("wildcard", TextTest::Wildcard),
    Function::text_test("query_string", TextTest::Query),
    Function::text_test("querystring", TextTest::Query),
    Function::text_test("cidr", TextTest::Network),
    Function::in_query("exists", QueryBinding::Exists),
];
