"""What Grafana's schema of a dashboard (version 39, Grafana 10.3 and later) says of the parts that ours uses, as JSON
Schema: fields that are not in it, and panels that current versions only migrate, are errors."""

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_FLAG = {"type": "boolean"}
_DATASOURCE = {
    "type": "object", "additionalProperties": False, "required": ["type", "uid"],
    "properties": {"type": {"const": "prometheus"}, "uid": {"const": "${datasource}"}},
}
_GRID = {
    "type": "object", "additionalProperties": False, "required": ["h", "w", "x", "y"],
    "properties": {"h": {"type": "integer", "minimum": 1}, "w": {"type": "integer", "minimum": 1, "maximum": 24},
                   "x": {"type": "integer", "minimum": 0, "maximum": 23}, "y": _COUNT},
}
_THRESHOLDS = {
    "type": "object", "additionalProperties": False, "required": ["mode", "steps"],
    "properties": {
        "mode": {"enum": ["absolute", "percentage"]},
        "steps": {"type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": False, "required": ["color", "value"],
            "properties": {"color": _TEXT, "value": {"type": ["number", "null"]}}}},
    },
}
_MAPPING = {
    "type": "object", "additionalProperties": False, "required": ["type", "options"],
    "properties": {"type": {"const": "value"}, "options": {"type": "object", "additionalProperties": {
        "type": "object", "additionalProperties": False,
        "properties": {"text": _TEXT, "color": _TEXT, "icon": _TEXT, "index": _COUNT}}}},
}
_COLOR_MODES = ["thresholds", "palette-classic", "palette-saturated", "continuous-GrYlRd", "fixed"]
_FIELD_CONFIG = {
    "type": "object", "additionalProperties": False, "required": ["defaults", "overrides"],
    "properties": {
        "defaults": {"type": "object", "additionalProperties": False, "properties": {
            "unit": _TEXT, "decimals": _COUNT, "min": {"type": "number"}, "max": {"type": "number"},
            "mappings": {"type": "array", "items": _MAPPING}, "thresholds": _THRESHOLDS,
            "color": {"type": "object", "required": ["mode"], "properties": {"mode": {"enum": _COLOR_MODES}}},
            "custom": {"type": "object"}}},
        "overrides": {"type": "array", "items": {
            "type": "object", "additionalProperties": False, "required": ["matcher", "properties"],
            "properties": {
                "matcher": {"type": "object", "required": ["id"], "properties": {"id": _TEXT}},
                "properties": {"type": "array", "items": {"type": "object", "required": ["id", "value"]}}}}},
    },
}
_TARGET = {
    "type": "object", "additionalProperties": False, "required": ["refId", "datasource", "expr"],
    "properties": {"refId": {"type": "string", "pattern": "^[A-Z]$"}, "datasource": _DATASOURCE, "expr": _TEXT,
                   "editorMode": {"enum": ["code", "builder"]}, "legendFormat": _TEXT, "range": _FLAG, "instant": _FLAG,
                   "format": {"enum": ["time_series", "table", "heatmap"]}},
}
_PANEL = {
    "type": "object", "additionalProperties": False,
    "required": ["id", "type", "title", "datasource", "gridPos", "fieldConfig", "options", "targets"],
    "properties": {
        "id": {"type": "integer", "minimum": 1}, "title": {"type": "string", "minLength": 1}, "description": _TEXT,
        "type": {"enum": ["timeseries", "stat", "table", "heatmap", "state-timeline"]},
        "datasource": _DATASOURCE, "gridPos": _GRID, "fieldConfig": _FIELD_CONFIG, "options": {"type": "object"},
        "targets": {"type": "array", "minItems": 1, "items": _TARGET},
        "transformations": {"type": "array", "items": {"type": "object", "required": ["id", "options"]}}},
}
_ROW = {
    "type": "object", "additionalProperties": False, "required": ["id", "type", "title", "collapsed", "gridPos", "panels"],
    "properties": {"id": {"type": "integer", "minimum": 1}, "type": {"const": "row"}, "title": _TEXT, "collapsed": _FLAG,
                   "gridPos": _GRID, "panels": {"type": "array", "maxItems": 0}},
}
_VARIABLE = {
    "type": "object", "required": ["type", "name", "query", "hide", "current"],
    "properties": {"type": {"enum": ["query", "datasource"]}, "name": {"type": "string", "pattern": "^[a-z]+$"},
                   "hide": {"enum": [0, 1, 2]}, "refresh": {"enum": [0, 1, 2]}, "multi": _FLAG, "includeAll": _FLAG,
                   "query": {"type": ["string", "object"]}},
}
_ANNOTATION = {
    "type": "object", "required": ["name", "datasource", "enable", "iconColor", "expr"],
    "properties": {"name": _TEXT, "datasource": _DATASOURCE, "enable": _FLAG, "hide": _FLAG, "iconColor": _TEXT},
}
DASHBOARD = {
    "type": "object", "additionalProperties": False,
    "required": ["uid", "title", "schemaVersion", "panels", "templating", "time", "refresh"],
    "properties": {
        "uid": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{8,40}$"}, "title": _TEXT, "description": _TEXT,
        "tags": {"type": "array", "items": _TEXT}, "timezone": _TEXT, "editable": _FLAG, "graphTooltip": {"enum": [0, 1, 2]},
        "schemaVersion": {"type": "integer", "minimum": 39}, "version": _COUNT, "refresh": _TEXT,
        "fiscalYearStartMonth": {"type": "integer", "minimum": 0, "maximum": 11}, "liveNow": _FLAG, "weekStart": _TEXT,
        "time": {"type": "object", "additionalProperties": False, "required": ["from", "to"],
                 "properties": {"from": _TEXT, "to": _TEXT}},
        "timepicker": {"type": "object"}, "links": {"type": "array"},
        "annotations": {"type": "object", "properties": {"list": {"type": "array", "items": _ANNOTATION}}},
        "templating": {"type": "object", "properties": {"list": {"type": "array", "items": _VARIABLE}}},
        "panels": {"type": "array", "items": {"if": {"properties": {"type": {"const": "row"}}}, "then": _ROW, "else": _PANEL}},
    },
}
