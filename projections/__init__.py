"""Projections: pure folds from events to rows, kept in SQLite or Postgres together with the cut that they are at."""

from eventcore.errors import FoldFailed
from projections.addresses import default_views_for, open_views
from projections.projection import Projection
from projections.runner import ProjectionRunner
from projections.views import Answer, Rows, Views

__all__ = ["Answer", "FoldFailed", "Projection", "ProjectionRunner", "Rows", "Views", "default_views_for", "open_views"]
