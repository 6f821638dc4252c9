//! Functions of lists and sets. Upstream: k8s.io/apiserver/pkg/cel/library/lists.go, cel-go ext/lists.go, ext/sets.go.

use std::cmp::Ordering;

use super::{Outcome, Row, no_overload};
use crate::eval::{Failure, compare, equal};
use crate::value::{List, Value};

pub(super) const ROWS: &[Row] = &[
    ("list_int_is_sorted_bool", "(list(int)).isSorted() -> bool", is_sorted),
    ("list_uint_is_sorted_bool", "(list(uint)).isSorted() -> bool", is_sorted),
    ("list_double_is_sorted_bool", "(list(double)).isSorted() -> bool", is_sorted),
    ("list_bool_is_sorted_bool", "(list(bool)).isSorted() -> bool", is_sorted),
    ("list_duration_is_sorted_bool", "(list(duration)).isSorted() -> bool", is_sorted),
    ("list_timestamp_is_sorted_bool", "(list(timestamp)).isSorted() -> bool", is_sorted),
    ("list_string_is_sorted_bool", "(list(string)).isSorted() -> bool", is_sorted),
    ("list_bytes_is_sorted_bool", "(list(bytes)).isSorted() -> bool", is_sorted),
    ("list_int_sum_int", "(list(int)).sum() -> int", |args| sum(args, Value::Int(0))),
    ("list_uint_sum_uint", "(list(uint)).sum() -> uint", |args| sum(args, Value::Uint(0))),
    ("list_double_sum_double", "(list(double)).sum() -> double", |args| sum(args, Value::Double(0.0))),
    ("list_duration_sum_duration", "(list(duration)).sum() -> duration", |args| sum(args, Value::Duration(0))),
    ("list_int_max_int", "(list(int)).max() -> int", max),
    ("list_uint_max_uint", "(list(uint)).max() -> uint", max),
    ("list_double_max_double", "(list(double)).max() -> double", max),
    ("list_bool_max_bool", "(list(bool)).max() -> bool", max),
    ("list_duration_max_duration", "(list(duration)).max() -> duration", max),
    ("list_timestamp_max_timestamp", "(list(timestamp)).max() -> timestamp", max),
    ("list_string_max_string", "(list(string)).max() -> string", max),
    ("list_bytes_max_bytes", "(list(bytes)).max() -> bytes", max),
    ("list_int_min_int", "(list(int)).min() -> int", min),
    ("list_uint_min_uint", "(list(uint)).min() -> uint", min),
    ("list_double_min_double", "(list(double)).min() -> double", min),
    ("list_bool_min_bool", "(list(bool)).min() -> bool", min),
    ("list_duration_min_duration", "(list(duration)).min() -> duration", min),
    ("list_timestamp_min_timestamp", "(list(timestamp)).min() -> timestamp", min),
    ("list_string_min_string", "(list(string)).min() -> string", min),
    ("list_bytes_min_bytes", "(list(bytes)).min() -> bytes", min),
    ("list_a_index_of_int", "(list(A)).indexOf(A) -> int", index_of),
    ("list_a_last_index_of_int", "(list(A)).lastIndexOf(A) -> int", last_index_of),
    ("list_includes_dyn_dyn", "(dyn).includes(dyn) -> bool", includes),
    ("list_slice", "(list(A)).slice(int, int) -> list(A)", slice),
    ("list_flatten", "(list(list(A))).flatten() -> list(A)", flatten),
    ("list_flatten_int", "(list(dyn)).flatten(int) -> list(dyn)", flatten),
    ("lists_range", "lists.range(int) -> list(int)", range),
    ("list_reverse", "(list(A)).reverse() -> list(A)", reverse),
    ("list_distinct", "(list(A)).distinct() -> list(A)", distinct),
    ("list_int_sort", "(list(int)).sort() -> list(int)", sort),
    ("list_uint_sort", "(list(uint)).sort() -> list(uint)", sort),
    ("list_double_sort", "(list(double)).sort() -> list(double)", sort),
    ("list_bool_sort", "(list(bool)).sort() -> list(bool)", sort),
    ("list_duration_sort", "(list(duration)).sort() -> list(duration)", sort),
    ("list_timestamp_sort", "(list(timestamp)).sort() -> list(timestamp)", sort),
    ("list_string_sort", "(list(string)).sort() -> list(string)", sort),
    ("list_bytes_sort", "(list(bytes)).sort() -> list(bytes)", sort),
    ("list_int_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(int)) -> list(A)", sort_by_keys),
    ("list_uint_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(uint)) -> list(A)", sort_by_keys),
    ("list_double_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(double)) -> list(A)", sort_by_keys),
    ("list_bool_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(bool)) -> list(A)", sort_by_keys),
    ("list_duration_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(duration)) -> list(A)", sort_by_keys),
    (
        "list_timestamp_sortByAssociatedKeys",
        "(list(A)).@sortByAssociatedKeys(list(timestamp)) -> list(A)",
        sort_by_keys,
    ),
    ("list_string_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(string)) -> list(A)", sort_by_keys),
    ("list_bytes_sortByAssociatedKeys", "(list(A)).@sortByAssociatedKeys(list(bytes)) -> list(A)", sort_by_keys),
    ("list_sets_contains_list", "sets.contains(list(T), list(T)) -> bool", sets_contains),
    ("list_sets_equivalent_list", "sets.equivalent(list(T), list(T)) -> bool", sets_equivalent),
    ("list_sets_intersects_list", "sets.intersects(list(T), list(T)) -> bool", sets_intersects),
];

/// Longest list that `lists.range` makes.
const MAX_RANGE: i64 = 10_000_000;

fn items<'a>(args: &[Value<'a>]) -> Result<Vec<Value<'a>>, Failure> {
    match args.first() {
        Some(Value::List(list)) => list.values(),
        _ => Err(Failure::no_such_overload()),
    }
}

fn is_sorted<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    for pair in items(args)?.windows(2) {
        if compare(&pair[0], &pair[1])? == Ordering::Greater {
            return Ok(Value::Bool(false));
        }
    }
    Ok(Value::Bool(true))
}

fn sum<'a>(args: &[Value<'a>], zero: Value<'a>) -> Outcome<'a> {
    items(args)?.into_iter().try_fold(zero, crate::eval::add)
}

fn extreme<'a>(args: &[Value<'a>], name: &str, better: Ordering) -> Outcome<'a> {
    let mut items = items(args)?.into_iter();
    let Some(mut best) = items.next() else { return Err(Failure::message(format!("{name} called on empty list"))) };
    for item in items {
        if compare(&item, &best)? == better {
            best = item;
        }
    }
    Ok(best)
}

fn max<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    extreme(args, "max", Ordering::Greater)
}

fn min<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    extreme(args, "min", Ordering::Less)
}

fn index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let place = items(args)?.iter().position(|item| equal(item, &args[1]));
    Ok(Value::Int(place.map_or(-1, |place| place as i64)))
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let place = items(args)?.iter().rposition(|item| equal(item, &args[1]));
    Ok(Value::Int(place.map_or(-1, |place| place as i64)))
}

fn includes<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::List(_), sought] => Ok(Value::Bool(items(args)?.iter().any(|item| equal(item, sought)))),
        [value, sought] => Ok(Value::Bool(equal(value, sought))),
        _ => no_overload(),
    }
}

fn slice<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = args else { return no_overload() };
    let refused = |why: String| Err(Failure::message(format!("cannot slice({start}, {end}), {why}")));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return refused("negative indexes not supported".to_owned());
    };
    if from > to {
        return refused("start index must be less than or equal to end index".to_owned());
    }
    if to > list.len() {
        return refused(format!("list is length {}", list.len()));
    }
    Ok(match list {
        List::Json(items, of) => Value::List(List::Json(&items[from..to], *of)),
        List::Items(items) => Value::list(items[from..to].to_vec()),
    })
}

fn flatten<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let depth = match args.get(1) {
        None => 1,
        Some(Value::Int(depth)) if *depth >= 0 => *depth,
        Some(Value::Int(_)) => return Err(Failure::message("level must be non-negative")),
        Some(_) => return no_overload(),
    };
    let mut current = items(args)?;
    for _ in 0..depth {
        if !current.iter().any(|item| matches!(item, Value::List(_))) {
            break;
        }
        let mut next = Vec::with_capacity(current.len());
        for item in current {
            match item {
                Value::List(inner) => next.extend(inner.values()?),
                other => next.push(other),
            }
        }
        current = next;
    }
    Ok(Value::list(current))
}

fn range<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Int(count)] = args else { return no_overload() };
    if *count < 0 {
        return Err(Failure::message(format!("lists.range: size must be non-negative, got {count}")));
    }
    if *count > MAX_RANGE {
        return Err(Failure::message(format!("lists.range: size {count} exceeds maximum allowed ({MAX_RANGE})")));
    }
    Ok(Value::list((0..*count).map(Value::Int).collect()))
}

fn reverse<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::list(items(args)?.into_iter().rev().collect()))
}

fn distinct<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let mut unique: Vec<Value<'a>> = Vec::new();
    for item in items(args)? {
        if !unique.iter().any(|other| equal(other, &item)) {
            unique.push(item);
        }
    }
    Ok(Value::list(unique))
}

fn sort<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let items = items(args)?;
    sorted(items.clone(), &items)
}

fn sort_by_keys<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list), Value::List(keys)] = args else { return no_overload() };
    sorted(list.values()?, &keys.values()?)
}

/// The items in the order of their keys; equal ones stay as they are.
fn sorted<'a>(items: Vec<Value<'a>>, keys: &[Value<'a>]) -> Outcome<'a> {
    if items.len() != keys.len() {
        let message = format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} elements respectively",
            items.len(),
            keys.len()
        );
        return Err(Failure::message(message));
    }
    if keys.iter().any(|key| key.type_name() != keys[0].type_name()) {
        return Err(Failure::message("list elements must have the same type"));
    }
    for pair in keys.windows(2) {
        compare(&pair[0], &pair[1]).map_err(|_| Failure::message("list elements must be comparable"))?;
    }
    let mut pairs: Vec<(&Value<'a>, Value<'a>)> = keys.iter().zip(items).collect();
    pairs.sort_by(|(left, _), (right, _)| compare(left, right).unwrap_or(Ordering::Equal));
    Ok(Value::list(pairs.into_iter().map(|(_, item)| item).collect()))
}

fn both<'a>(args: &[Value<'a>]) -> Result<(Vec<Value<'a>>, Vec<Value<'a>>), Failure> {
    let [Value::List(left), Value::List(right)] = args else { return Err(Failure::no_such_overload()) };
    Ok((left.values()?, right.values()?))
}

fn has_all(list: &[Value<'_>], sought: &[Value<'_>]) -> bool {
    sought.iter().all(|item| list.iter().any(|other| equal(other, item)))
}

fn sets_contains<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (list, sought) = both(args)?;
    Ok(Value::Bool(has_all(&list, &sought)))
}

fn sets_equivalent<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (left, right) = both(args)?;
    Ok(Value::Bool(has_all(&left, &right) && has_all(&right, &left)))
}

fn sets_intersects<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (left, right) = both(args)?;
    Ok(Value::Bool(left.iter().any(|item| right.iter().any(|other| equal(item, other)))))
}
