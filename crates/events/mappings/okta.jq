# Okta System Log: events as its API gives them, wrapped by an event hook ({"data": {"events": [...]}})
# or a log stream ({"detail": {...}}), and rows of a SIEM's custom log table (columns with a type
# suffix such as `actor_id_s`, absent values as "" or "null").

# By the order of jq's values (numbers, texts, arrays, objects), which is quicker than their type.
def text: if . > "" and . < [] and . != "null" then . else null end;
def object: if . >= {} then . else null end;
def list: if isarray then . else [] end;
def parsed: text | if . then (try fromjson catch null) else null end;

# No outcome, a skipped and an unknown one are no failures.
def status_of:
  if . == null or . == "SUCCESS" or . == "ALLOW" or . == "SKIPPED" or . == "UNKNOWN" then "info"
  else "error" end;

# What is no event becomes one without a date, so that it is refused by itself instead of vanishing.
def wrapped: if isobject then [., .] else [{}, {record: .}] end;

# Pairs of an event and what to keep of its record; null keeps the record itself.
def events:
  if (.data? | object | .events? | isarray) then .data.events[] | wrapped
  elif .eventType? == null and (.detail? | isobject) then [.detail, .detail + {envelope: del(.detail)}]
  else [., null] end;

# Both shapes under one set of names.
def exported:
  {
    id: (.uuid_g // .uuid_s), date: (.published_t // .published_s // .TimeGenerated),
    type: .eventType_s, title: .displayMessage_s, result: .outcome_result_s, reason: .outcome_reason_s,
    workspace: .TenantId,
    actor: {id: .actor_id_s, type: .actor_type_s, alternateId: .actor_alternateId_s, displayName: .actor_displayName_s},
    ip: .client_ipAddress_s, agent: .client_userAgent_rawUserAgent_s,
    city: .client_geographicalContext_city_s, country: .client_geographicalContext_country_s,
    transaction: .transaction_id_s, transaction_type: .transaction_type_s,
    token: .transaction_detail_requestApiTokenId_s,
    session: .authenticationContext_externalSessionId_s,
    device: (.debugContext_debugData_deviceFingerprint_g // .debugContext_debugData_deviceFingerprint_s),
    targets: (.target_s | if isarray then . else parsed end | list)
  };
def native:
  (.client? | object) as $client | ($client.geographicalContext? | object) as $place
  | (.outcome? | object) as $outcome | (.transaction? | object) as $transaction
  | (.debugContext? | object | .debugData? | object) as $debug
  | {
      id: .uuid?, date: .published?, type: .eventType?, title: .displayMessage?,
      result: $outcome.result?, reason: $outcome.reason?, workspace: null,
      actor: (.actor? | object),
      ip: ($client.ipAddress? // (.request? | object | .ipChain? | list | .[0] | object | .ip?)),
      agent: ($client.userAgent? | object | .rawUserAgent?),
      city: $place.city?, country: $place.country?,
      transaction: $transaction.id?, transaction_type: $transaction.type?,
      token: ($transaction.detail? | object | .requestApiTokenId?),
      session: (.authenticationContext? | object | .externalSessionId?),
      device: ((.device? | object | .id?) // $debug.deviceFingerprint?),
      targets: (.target? | list)
    };

events as [$e, $original]
| $e
| if has("eventType_s") or has("uuid_g") or has("published_t") then exported else native end
| . as $n
| ($n.result | text) as $result
| ($n.reason | text) as $reason
| ($n.type | text) as $type
| ($n.actor.displayName? | text) as $name
| ($n.actor.alternateId? | text) as $alternate
| ($n.title | text // $type) as $title
| ($n.targets | map(objects)) as $targets
# In small objects: the time that jaq takes for one grows with the square of its keys.
| {
    date: $n.date,
    df_event_id: ($n.id | text),
    df_status: ($result | status_of),
    df_origin: (if $n.transaction_type == "WEB" then "front" else "openapi" end),
    df_menu: (if $type then $type | split(".")[:2] | join(".") else null end),
    df_title: $title
  } + {
    df_message: "\($title // "event") by \($name // $alternate // "unknown")\(if $result then ": \($result)" else "" end)\(if $reason then " (\($reason))" else "" end)",
    df_user_id: ($n.actor.id? | text),
    df_user_name: ($name // $alternate),
    df_user_email: $alternate,
    df_role_scope: ($n.actor.type? | text),
    df_operation_id: ($n.transaction | text)
  } + {
    df_operation_name: $type,
    df_workspace: ($n.workspace | text),
    action: $type,
    category: (if $type then $type | split(".")[0] else null end),
    product: "okta",
    project: (first($targets[] | select(.type == "AppInstance") | .displayName | text | values) // null)
  } + {
    result: $result,
    client_ip: ($n.ip | text),
    user_agent: ($n.agent | text),
    device_id: ($n.device | text),
    session_id: ($n.session | text | if . == "unknown" then null else . end),
    country: ($n.country | text)
  } + {
    city: ($n.city | text),
    token_id: ($n.token | text),
    target_user: (first($targets[] | select(.type == "User") | .alternateId, .displayName, .id | text | values) // null),
    comments: $reason
  }
| if $original then .attributes = $original else . end
