# AWS CloudTrail. One event a record, or several wrapped together: a delivered file
# ({"Records": [...]}), an EventBridge envelope ({"detail": {...}}), an answer of LookupEvents
# ({"Events": [{"CloudTrailEvent": "..."}]}).

# A wrapped record as such a pair. What is no event becomes one without a date, so that it is refused
# by itself instead of vanishing.
def wrapped($original): if isobject then [., .] else [{}, {record: $original}] end;
def looked_up: . as $row | [try (.CloudTrailEvent | fromjson) catch null][0] | wrapped($row);

# Pairs of an event and what to keep of its record; null keeps the record itself.
def events:
  if .eventName? then [., null]
  elif (.Records? | isarray) then .Records[] | wrapped(.)
  elif (.Events? | isarray) then .Events[] | looked_up
  elif (.CloudTrailEvent? | isstring) then looked_up
  elif (.detail? | isobject) then [.detail, .detail + {envelope: del(.detail)}]
  else [., null] end;

# By the order of jq's values (numbers, texts, arrays, objects), which is quicker than their type.
def text: if . > "" and . < [] then . else null end;
def object: if . >= {} then . else null end;
def last_part($separator): if . then split($separator)[-1] else null end;

events as [$e, $original]
| ($e.userIdentity? | object) as $who
| ($who.sessionContext? | object) as $session
| ($who.arn? | text) as $arn
# Insights events have no name of their own.
| ($e.eventName | text // ($e.insightDetails? | object | .eventName? | text) // ($e.eventType | text)) as $name
| ($e.eventSource | text) as $source
| ($source // "" | rtrimstr(".amazonaws.com")) as $service
| ($who.type? | text // (if $who.invokedBy? then "AWSService" else null end)) as $kind
| ($e.requestParameters? | object) as $request
# Sign-in events answer with {"<event name>": "Success" or "Failure"}.
| (if $e.errorCode then $e.errorCode
   else ($e.responseElements? | object | .[$name // ""]? | text) // "Success" end) as $result
| ($e.errorCode != null or $result == "Failure") as $failed
| ($who.userName?
   // $session.sessionIssuer?.userName?
   // (if $arn then (if $arn | contains(":assumed-role/") then $arn | split("/")[1]
                     else $arn | last_part(":") | last_part("/") end) else null end)
   // (if $kind == "Root" then "root" else null end)
   // $who.invokedBy? // $who.principalId? // $who.accountId?) as $user
| ($e.sourceIPAddress? | text) as $from
# In small objects: the time that jaq takes for one grows with the square of its keys.
| {
    date: $e.eventTime,
    df_event_id: $e.eventID,
    df_status: (if $failed then "error" else "info" end),
    df_origin: (if $who.invokedBy? or $kind == "AWSService" or $e.eventType == "AwsServiceEvent" then "service"
                elif $e.sessionCredentialFromConsole == "true" or $e.sessionCredentialFromConsole == true
                     or $e.eventType == "AwsConsoleSignIn" or $e.eventType == "AwsConsoleAction" then "console"
                else "openapi" end),
    df_menu: (if $source then $service else null end),
    df_title: $name
  } + {
    df_message: (($e.errorMessage | text)
                 // "\($name // "event") \(if $source then "on \($service) " else "" end)by \($user // "unknown")\(if $from then " from \($from)" else "" end)\(if $failed then ": \($result)" else "" end)"),
    df_user_id: ($who.principalId? // $arn // $who.onBehalfOf?.userId? // $who.invokedBy? // $who.accountId?),
    df_user_name: $user,
    df_user_email: (first(($user, ($arn | last_part("/"))) | select(isstring and contains("@"))) // null),
    df_role_scope: $kind,
    df_operation_id: ($e.requestID? // $e.eventID)
  } + {
    df_operation_name: $name,
    df_workspace: ($e.recipientAccountId? // $who.accountId?),
    action: (if $name and $source then "\($service):\($name)" else $name end),
    category: $e.eventCategory?,
    product: "cloudtrail",
    result: $result
  } + {
    client_ip: $from,
    user_agent: ($e.userAgent? | text),
    device_id: ($e.additionalEventData? | object | .MFAIdentifier?),
    token_id: $who.accessKeyId?,
    target_user: (first($request.userName?, $request.username?
                  | text | values) // null),
    impersonator: ($session.sourceIdentity? // (if $kind == "AWSService" then null else $who.invokedBy? end))
  }
| if $original then .attributes = $original else . end
