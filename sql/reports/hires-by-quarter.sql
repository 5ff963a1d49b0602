-- title: Hires by quarter
-- doc: How many were hired in each quarter of a year, by department and job
-- parameters:
--   year: {type: integer, default: 2021, doc: Year of the hires}
-- chart: {type: heatmap, x: [q1, q2, q3, q4], y: [department, job]}

SELECT department,
       job,
       coalesce(sum(hires) FILTER (WHERE quarter = 1), 0)::bigint AS q1,
       coalesce(sum(hires) FILTER (WHERE quarter = 2), 0)::bigint AS q2,
       coalesce(sum(hires) FILTER (WHERE quarter = 3), 0)::bigint AS q3,
       coalesce(sum(hires) FILTER (WHERE quarter = 4), 0)::bigint AS q4
  FROM hires_by_quarter
  JOIN departments ON departments.id = department_id
  JOIN jobs ON jobs.id = job_id
 WHERE year = :year
 GROUP BY departments.id, department, jobs.id, job
 ORDER BY department COLLATE "C", job COLLATE "C", departments.id, jobs.id;
