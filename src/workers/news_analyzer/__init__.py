"""The `news-analyzer` processor: reads an article and reports what it is about.

It needs the `news` extra. `jobsvc work workers.news_analyzer` runs it.
"""

from workers.news_analyzer.article import Analysis, ArticleInput
from workers.news_analyzer.processor import analyze

__all__ = ["Analysis", "ArticleInput", "analyze"]
