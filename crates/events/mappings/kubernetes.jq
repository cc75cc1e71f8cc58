# Kubernetes API server audit log (audit.k8s.io): one Event a record, or an EventList of a webhook.
# One request gives several events, one a stage, under one auditID.

# By the order of jq's values (numbers, texts, arrays, objects), which is quicker than their type.
def text: if . > "" and . < [] then . else null end;
def object: if . >= {} then . else null end;
def name_of: if . then split(":")[-1] else null end;

def category_of:
  if . == "get" or . == "list" or . == "watch" or . == "head" then "read"
  elif . == "create" or . == "update" or . == "patch" or . == "delete" or . == "deletecollection"
       or . == "post" or . == "put" then "write"
  else null end;

# What is no event becomes one without a date, so that it is refused by itself instead of vanishing.
def wrapped: if isobject then [., .] else [{}, {record: .}] end;

# Pairs of an event and what to keep of its record; null keeps the record itself.
def events:
  if (.items? | isarray) and .auditID? == null then .items[] | wrapped else [., null] end;

events as [$e, $original]
| ($e.objectRef? | object) as $object
| ($e.responseStatus? | object) as $status
| ($e.user? | object | .username? | text) as $authenticated
| ($e.impersonatedUser? | object | .username? | text) as $impersonated
# The request runs with the rights of the impersonated user; who asked for that is the impersonator.
| ($impersonated // $authenticated) as $user
| ((if $impersonated then $e.impersonatedUser else $e.user? end) | object) as $who
| ($e.verb? | text) as $verb
| ($object.resource? | text) as $resource
| ($e.requestURI? | text | if . then split("?")[0] else null end) as $path
| "\($verb // "request"):\($resource // $path // "unknown")" as $title
| ($resource | if . and $object.subresource? then "\(.)/\($object.subresource)" else . // $path end) as $target
| $status.code? as $code
| ((($code | isnumber) and $code >= 400) or $status.status? == "Failure" or $e.stage? == "Panic") as $failed
# In small objects: the time that jaq takes for one grows with the square of its keys.
| {
    date: ($e.requestReceivedTimestamp? // $e.stageTimestamp? // $e.metadata?.creationTimestamp?),
    df_event_id: ($e.auditID? | text | if . and $e.stage? then "\(.)/\($e.stage)" else . end),
    df_status: (if $failed then "error" else "info" end),
    df_origin: (if $user | . and startswith("system:") then "inner" else "openapi" end),
    df_menu: $resource,
    df_title: $title
  } + {
    df_message: "\($verb // "request") \($target // "unknown")\(if $object.name? then " \($object.name)" else "" end)\(if $object.namespace? then " in \($object.namespace)" else "" end) by \($user // "unknown")\(if $code then ": \($code)" else "" end)\(if $status.message? then " \($status.message)" else "" end)",
    df_user_id: $user,
    df_user_name: ($user | name_of),
    df_user_email: ($user | name_of | if . and contains("@") then . else null end),
    df_user_team: ($who.groups? | if isarray then map(strings) | join(", ") else null end),
    df_role_scope: (if $user == null then null
                    elif $user | startswith("system:serviceaccount:") then "serviceaccount"
                    elif $user | startswith("system:") then "system"
                    else "user" end)
  } + {
    df_operation_id: $e.auditID?,
    df_operation_name: $title,
    df_workspace: ($e.host? | object | .name? | text),
    action: "\($verb // "request"):\($target // "unknown")",
    category: ($verb | category_of),
    product: "kubernetes"
  } + {
    project: ($object.namespace? | text),
    result: ($code // $status.reason? // $status.status?),
    client_ip: ($e.sourceIPs? | if isarray then .[0] else null end),
    user_agent: ($e.userAgent? | text),
    token_id: ($who.extra? | object | .["authentication.kubernetes.io/credential-id"]? | if isarray then .[0] else null end),
    target_user: (if $resource == "users" or $resource == "serviceaccounts" then $object.name? else null end)
  } + {
    impersonator: (if $impersonated then $authenticated else null end),
    comments: ($e.annotations? | object | .["authorization.k8s.io/reason"]? | text)
  }
| if $original then .attributes = $original else . end
