"""Rendered candidates: they compile, run by hand, and data in them stays data."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_candidates_tables import churn_table, run_fit, spec_of

from mlagent.content import Content
from mlagent.contracts.errors import BadInput, MlagentError
from mlagent.templates.candidates import default_members, render_candidate, required_packages

NAMES = ("linear", "option_a", "option_b", "option_c")
